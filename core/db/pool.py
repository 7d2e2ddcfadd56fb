"""Connections. Nothing connects before the first query, so a process starts without PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import msgspec

from core.db.failure import translated

COMMAND_MARGIN_SECONDS = 2.0
"""The client waits so much longer than the server's own statement timeout."""


class Pool:
    """At most `max_size` connections to one database as one login."""

    def __init__(
        self,
        inner: Any,  # noqa: ANN401  # asyncpg ships no types
        *,
        connect_timeout_seconds: float,
        statement_timeout_ms: int,
    ) -> None:
        self._inner = inner
        self._connect_timeout_seconds = connect_timeout_seconds
        self.statement_timeout_ms = statement_timeout_ms

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        max_size: int = 10,
        connect_timeout_seconds: float = 5.0,
        statement_timeout_seconds: float = 15.0,
    ) -> "Pool":
        """Return a pool; connects lazily and reconnects by itself."""
        inner = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=max_size,
            timeout=connect_timeout_seconds,
            command_timeout=statement_timeout_seconds + COMMAND_MARGIN_SECONDS,
            init=set_codecs,
            reset=_keep,
        )
        await inner
        return cls(
            inner,
            connect_timeout_seconds=connect_timeout_seconds,
            statement_timeout_ms=int(statement_timeout_seconds * 1000),
        )

    async def close(self) -> None:
        """Close all connections, waiting for those in use as long as a connect may take."""
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                await self._inner.close()
        except (TimeoutError, OSError, asyncpg.InternalClientError):
            self._inner.terminate()

    async def ping(self) -> None:
        """Return if the database answers, else raise DomainError("service.unavailable")."""
        with translated():
            async with self.connection() as connection:
                await connection.execute("SELECT 1", timeout=self._connect_timeout_seconds)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Any]:
        """Lend a connection for single statements."""
        connection = await self.acquire()
        try:
            yield connection
        except BaseException:
            await self.discard(connection)
            raise
        await self.release(connection)

    async def acquire(self) -> Any:  # noqa: ANN401  # asyncpg's pool proxy has no public type
        """Borrow a connection, waiting no longer than a connect may take."""
        with translated():
            return await self._inner.acquire(timeout=self._connect_timeout_seconds)

    async def release(self, connection: Any) -> None:  # noqa: ANN401  # as above
        """Give an idle connection back."""
        with translated():
            await self._inner.release(connection)

    async def discard(self, connection: Any) -> None:  # noqa: ANN401  # as above
        """Cut a connection whose state is unknown; the next one is new."""
        # It may have been taken from us already, when the server closed it.
        with suppress(OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            connection.terminate()
        with suppress(OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            await self._inner.release(connection)


async def set_codecs(connection: "asyncpg.Connection") -> None:
    """Read jsonb as msgspec.Raw, so that stored JSON is sent on without being parsed."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        format="binary",
    )


def _encode_jsonb(value: str | bytes | msgspec.Raw) -> bytes:
    # The binary form of jsonb is its version, 1, and the text.
    return b"\x01" + (value.encode() if isinstance(value, str) else bytes(value))


def _decode_jsonb(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(data[1:])


async def _keep(_connection: object) -> None:
    """Spare the reset's round trip: all our settings are local to their transaction."""
