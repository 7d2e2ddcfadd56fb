"""The database as an operator's command uses it: one connection, as the system, for a moment."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from core import config
from core.actor import SYSTEM, Actor
from core.config import Settings
from core.db import Pool, Replica, Tx, begin

_Found = TypeVar("_Found")


@asynccontextmanager
async def system_pool(settings: Settings) -> AsyncGenerator[Pool]:
    """Open the database for a block; raises ConfigError without the login, DomainError."""
    database = settings.database
    pool = await Pool.configured(
        database, config.require(database.system_url, "database.system_url"), max_size=1
    )
    try:
        yield pool
    finally:
        await pool.close()


async def browse_once(settings: Settings, ask: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    """Return what `ask` reads where it may be some seconds old: from a standby, if there is one."""
    async with system_pool(settings) as pool:
        replica = await Replica.open(settings.database, settings.database.system_url, pool)
        try:
            async with replica.begin(SYSTEM) as tx:
                return await ask(tx)
        finally:
            await replica.close()


async def read_once(settings: Settings, ask: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    """Return what `ask` reads."""
    async with system_pool(settings) as pool, begin(pool, SYSTEM, read_only=True) as tx:
        return await ask(tx)


async def work_once(
    settings: Settings, actor: Actor, work: Callable[[Tx], Awaitable[_Found]]
) -> _Found:
    """Return what `work` does in a transaction, in the name of whoever gave the command."""
    async with system_pool(settings) as pool, begin(pool, actor) as tx:
        return await work(tx)
