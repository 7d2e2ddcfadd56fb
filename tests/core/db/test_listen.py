"""LISTEN comes back by itself and says so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from core.actor import SYSTEM
from core.db import Pool, begin, listen, query
from hub.embedded import postgres as embedded
from hub.embedded.child import free_port
from tests.fixtures.postgres import FAST, Database


async def heard(messages: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(messages), 10)


async def test_it_says_when_to_poll_and_then_what_was_sent(database: Database) -> None:
    messages = listen(database.system_url, "outbox")
    assert await heard(messages) == ""
    connection = await asyncpg.connect(database.system_url)
    await connection.execute("SELECT pg_notify('outbox', 'a'), pg_notify('outbox', 'b')")
    assert [await heard(messages), await heard(messages)] == ["a", "b"]
    await connection.close()
    await messages.aclose()


async def test_an_event_wakes_the_listeners_of_the_outbox_when_it_is_committed(
    database: Database, system_pool: Pool
) -> None:
    messages = listen(database.system_url, "outbox")
    await heard(messages)
    emit = query(
        str,
        """SELECT app.emit('ring.tapped', id, 'ring', id, '{}')::text
        FROM users CROSS JOIN generate_series(1, 3)""",
        login="system",
    )
    async with begin(system_pool, SYSTEM) as tx:
        await query(
            str, "INSERT INTO users (full_name) VALUES ('Ada') RETURNING full_name", login="system"
        ).one(tx)
        assert len(await emit.all(tx)) == 3
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, 10) == ""
    await messages.aclose()


async def test_a_cut_connection_is_replaced_and_announced(database: Database) -> None:
    messages = listen(database.system_url, "outbox")
    await heard(messages)
    superuser = await asyncpg.connect(database.superuser_url)
    for _ in range(3):
        await superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ping_system'"
        )
        assert await heard(messages) == ""
    await superuser.execute("SELECT pg_notify('outbox', 'after')")
    assert await heard(messages) == "after"
    await superuser.close()
    await messages.aclose()


async def test_it_waits_for_a_server_that_is_away_and_survives_its_crash(tmp_path: Path) -> None:
    port = free_port()
    server = embedded.start(tmp_path, port, options=FAST)
    server.stop()
    messages = listen(server.url, "outbox")
    first = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    server = embedded.start(tmp_path, port, options=FAST)
    try:
        assert await asyncio.wait_for(first, 10) == ""
        server.kill()
        again = asyncio.ensure_future(anext(messages))
        server = embedded.start(tmp_path, port, options=FAST)
        assert await asyncio.wait_for(again, 10) == ""
        await messages.aclose()
    finally:
        server.stop()


async def test_the_listener_holds_one_connection_and_gives_it_back(database: Database) -> None:
    messages = listen(database.system_url, "outbox")
    await heard(messages)
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ping_system'"
    superuser = await asyncpg.connect(database.superuser_url)
    assert await superuser.fetchval(count) == 1
    await messages.aclose()
    async with asyncio.timeout(10):
        while await superuser.fetchval(count):  # noqa: ASYNC110  # the server's state
            await asyncio.sleep(0.01)
    await superuser.close()


@pytest.mark.parametrize("statement", ["LISTEN a; DROP TABLE users", 'a"b'])
async def test_a_channel_is_a_name_and_never_sql(database: Database, statement: str) -> None:
    messages = listen(database.system_url, statement)
    assert await heard(messages) == ""
    await messages.aclose()
    connection = await asyncpg.connect(database.superuser_url)
    assert await connection.fetchval("SELECT to_regclass('users')") is not None
    await connection.close()
