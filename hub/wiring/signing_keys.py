"""Follows the file of the keys that sign access tokens, so that they rotate without a restart."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from core import config, log
from core.errors import ConfigError
from hub.http.tokens import TokenKeys, read_keys

LOOK_SECONDS: Final = 1.0

_logger = log.get("wiring.signing_keys")


@asynccontextmanager
async def following(keys: TokenKeys, auth: config.Auth) -> AsyncGenerator[None]:
    """Take over within a second what is written to the key file; what cannot be read is ignored."""
    task = asyncio.create_task(_follow(keys, auth))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(keys: TokenKeys, auth: config.Auth) -> None:
    # It may have changed since the keys were read.
    seen: tuple[int, int] | None = None
    while True:
        current = _mark(auth.signing_keys)
        if current not in (seen, None):
            try:
                keys.replace(read_keys(auth))
            except ConfigError:
                _logger.exception("signing_keys_unreadable")
            else:
                kids = [str(item.key.kid) for item in keys.keys]
                _logger.info("signing_keys_read", kids=kids)
            seen = current
        keys.retire()
        await asyncio.sleep(LOOK_SECONDS)


def _mark(path: str) -> tuple[int, int] | None:
    """Return what differs when a file was replaced; None while it is away."""
    try:
        state = os.stat(path)  # noqa: PTH116  # one system call, no path object each second
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns
