"""The pool lends connections and never takes anything else from its callers."""

import asyncio

import pytest

from core.actor import SYSTEM
from core.db import Pool, begin
from core.db.query import query
from core.errors import DomainError
from tests.fixtures.postgres import Database, execute

ONE = query(int, "SELECT 1")


async def ask(pool: Pool) -> None:
    async with begin(pool, SYSTEM) as tx:
        await ONE.one(tx)


async def test_a_cancellation_is_never_lost_at_whatever_step_it_comes(system_pool: Pool) -> None:
    steps = 0
    while True:
        task = asyncio.create_task(ask(system_pool))
        for _ in range(steps):
            await asyncio.sleep(0)
        if not task.cancel():
            break
        with pytest.raises(asyncio.CancelledError):
            await task
        steps += 1
    assert steps > 3


async def test_cancelled_callers_leave_every_connection_to_others(system_pool: Pool) -> None:
    for steps in range(30):
        task = asyncio.create_task(ask(system_pool))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    async with asyncio.timeout(10):
        await asyncio.gather(*(ask(system_pool) for _ in range(40)))


async def test_a_statement_whose_columns_a_migration_changed_works_again_when_it_is_repeated(
    database: Database, system_pool: Pool
) -> None:
    await asyncio.to_thread(
        execute,
        database.superuser_url,
        "CREATE TABLE shapes (size int)",
        "INSERT INTO shapes VALUES (7)",
        "GRANT SELECT ON shapes TO ping_system",
    )
    size = query(str, "SELECT size FROM shapes", login="system")

    async def asked() -> str:
        async with begin(system_pool, SYSTEM) as tx:
            return await size.one(tx)

    assert await asked() == 7
    await asyncio.to_thread(
        execute, database.superuser_url, "ALTER TABLE shapes ALTER size TYPE text"
    )
    with pytest.raises(DomainError) as refused:
        await asked()
    assert refused.value.code == "service.unavailable"
    assert await asked() == "7"
