"""LISTEN that survives the loss of the server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final, cast

import asyncpg

from core.config import Database
from core.db.pool import is_pooled
from core.errors import ConfigError
from core.pause import pause_seconds

CONNECT_SECONDS: Final = 5
# A connection cut without a word (a router, a frozen server) is noticed within this time.
CHECK_SECONDS: Final = 5.0
_LOST: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


# asyncpg ships no types for it.
connect = cast("Any", asyncpg.connect)


def direct_address(settings: Database, url: str) -> str:
    """Return where notifications are heard: `direct_url`, else `url` if it needs no pooler."""
    direct = settings.direct_url or url
    if is_pooled(direct):
        raise ConfigError(
            "database.direct_url is missing: system_url leads through a pooler, which LISTEN cannot"
        )
    return direct


async def listen(url: str, channel: str) -> AsyncGenerator[str]:
    """Yield payloads for ever, and "" after each (re)connect: then poll, something may be missed.

    Takes an address without a pooler. Notifications only wake: equal ones may be merged.
    """
    failures = 0
    while True:
        try:
            connection = await connect(
                url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS
            )
        except _LOST:
            failures += 1
            await asyncio.sleep(pause_seconds(failures))
            continue
        failures = 0
        try:
            async for payload in _payloads(connection, channel):
                yield payload
        finally:
            connection.terminate()


async def _payloads(connection: Any, channel: str) -> AsyncGenerator[str]:  # noqa: ANN401  # asyncpg has no public type
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    waiting: set[str] = set()

    def arrived(_connection: object, _pid: int, _channel: str, payload: str) -> None:
        if payload not in waiting:
            waiting.add(payload)
            queue.put_nowait(payload)

    def ended(_connection: object) -> None:
        queue.put_nowait(None)

    connection.add_termination_listener(ended)
    with suppress(*_LOST):
        await connection.add_listener(channel, arrived)
        yield ""
        while True:
            try:
                # Not `wait_for`: in Python 3.11 it can swallow a cancellation, and with it a stop.
                async with asyncio.timeout(CHECK_SECONDS):
                    payload = await queue.get()
            except TimeoutError:
                await connection.execute("SELECT 1")
                continue
            if payload is None:
                return
            waiting.discard(payload)
            yield payload
