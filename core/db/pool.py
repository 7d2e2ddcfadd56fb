"""Connections. Nothing connects before the first query, so a process starts without PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import msgspec

from core.config import Database
from core.db.failure import translated

POOLER: Final = ("pooler", "transaction")
"""`?pooler=transaction` in an address: it leads through PgBouncer in transaction mode."""

_STATEMENTS_KEPT: Final = 100
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
        slow_query_seconds: float,
    ) -> None:
        self._inner = inner
        self._connect_timeout_seconds = connect_timeout_seconds
        self.statement_timeout_ms = statement_timeout_ms
        self.slow_query_seconds = slow_query_seconds

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        max_size: int = 10,
        connect_timeout_seconds: float = 5.0,
        statement_timeout_seconds: float = 15.0,
        slow_query_seconds: float = 0.5,
    ) -> "Pool":
        """Return a pool; connects lazily and reconnects by itself."""
        address, is_pooled = _without_pooler(url)
        inner = asyncpg.create_pool(
            address,
            # A transaction pooler gives each transaction another server connection, which does not
            # know the statements of the one before.
            statement_cache_size=0 if is_pooled else _STATEMENTS_KEPT,
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
            slow_query_seconds=slow_query_seconds,
        )

    @classmethod
    async def configured(cls, settings: Database, url: str, *, max_size: int) -> "Pool":
        """Return a pool with the timeouts of the settings."""
        return await cls.open(
            url,
            max_size=max_size,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            slow_query_seconds=settings.slow_query_seconds,
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


def is_pooled(url: str) -> bool:
    """Say whether an address leads through a transaction pooler; LISTEN is not heard there."""
    return _without_pooler(url)[1]


def _without_pooler(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    if POOLER not in options:
        return url, False
    query = urlencode([option for option in options if option != POOLER])
    return urlunsplit(parts._replace(query=query)), True


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
