"""What a command of the operator asks the database, once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from core import config
from core.actor import SYSTEM
from core.config import Settings
from core.db import Pool, Tx, begin

_Found = TypeVar("_Found")


async def one_read(settings: Settings, ask: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    """Return what `ask` reads as the system; raises ConfigError without its login, DomainError."""
    database = settings.database
    pool = await Pool.open(
        config.require(database.system_url, "database.system_url"),
        max_size=1,
        connect_timeout_seconds=database.connect_timeout_seconds,
        statement_timeout_seconds=database.statement_timeout_seconds,
    )
    try:
        async with begin(pool, SYSTEM, read_only=True) as tx:
            return await ask(tx)
    finally:
        await pool.close()
