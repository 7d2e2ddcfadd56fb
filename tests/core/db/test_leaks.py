"""Requests that are cancelled, late or failing leave nothing of theirs to whoever comes next."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import asyncpg
import pytest

from core.actor import ANONYMOUS, Actor
from core.db import Pool, Tx, begin, command, query
from core.errors import DomainError
from core.ids import UserId, new_id
from tests.fixtures.pgbouncer import SERVER_CONNECTIONS, Pooled
from tests.fixtures.postgres import Database

PEOPLE = 8
AT_ONCE = 20

WHO = query(UUID, "SELECT app.user_id()")
WHO_SLOWLY = query(UUID, "SELECT app.user_id() FROM pg_sleep(0.005)")
MY_ROWS = query(UUID, "SELECT user_id FROM contact_cards")
OWNERS_OF_RINGS = query(UUID, "SELECT user_id FROM rings")
RENAME = command("UPDATE rings SET label = app.user_id()::text WHERE user_id = app.user_id()")
FAIL = query(int, "SELECT 1 / (length($1) - 1)")
TAKE_TOO_LONG = query(str, "SELECT pg_sleep(5)::text")
LABELS_OF_OTHERS = query(
    int, "SELECT count(*)::int FROM rings WHERE label <> user_id::text", login="system"
)
OPEN_SESSIONS = query(
    int,
    """SELECT count(*)::int FROM pg_stat_activity
    WHERE usename = 'ping_api' AND datname = current_database()""",
)
SETTINGS = query(
    str,
    """SELECT concat(
      current_setting('app.user_id', true), current_setting('app.role', true),
      current_setting('app.endpoint', true), current_setting('app.actor_kind', true)
    )""",
)


def user(user_id: UUID) -> Actor:
    return Actor(kind="user", user_id=UserId(user_id), role="moderator", endpoint="GET /v1/me")


async def populate(database: Database) -> list[UUID]:
    """Give some people a row each in tables of their own."""
    connection = await asyncpg.connect(database.superuser_url)
    people: list[UUID] = []
    try:
        for number in range(PEOPLE):
            people.append(
                await connection.fetchval(
                    "INSERT INTO users (full_name) VALUES ('Somebody') RETURNING id"
                )
            )
            await connection.execute(
                "INSERT INTO contact_cards (user_id, card) VALUES ($1, '')", people[-1]
            )
            await connection.execute(
                """INSERT INTO rings (user_id, kind, status, label, device_id)
                VALUES ($1, 'ble', 'active', $2, $3)""",
                people[-1],
                str(people[-1]),
                number.to_bytes(8, "big"),
            )
    finally:
        await connection.close()
    return people


async def read(tx: Tx) -> set[UUID]:
    return {*await MY_ROWS.all(tx), *await OWNERS_OF_RINGS.all(tx), await WHO.one(tx)}


async def read_slowly(tx: Tx) -> set[UUID]:
    return {await WHO_SLOWLY.one(tx), *await read(tx)}


async def write(tx: Tx) -> set[UUID]:
    await RENAME.run(tx)
    return await read(tx)


async def fail_in_the_server(tx: Tx) -> set[UUID]:
    seen = await read(tx)
    with suppress(asyncpg.DivisionByZeroError):
        await FAIL.one(tx, "1")
    # Swallowed: the transaction is aborted, and must not pass for a commit.
    return seen


async def fail_in_the_handler(tx: Tx) -> set[UUID]:
    await read(tx)
    raise ZeroDivisionError


async def outlast_the_statement(tx: Tx) -> set[UUID]:
    await TAKE_TOO_LONG.one(tx)
    return set()


DEEDS: tuple[Callable[[Tx], Awaitable[set[UUID]]], ...] = (
    read,
    read,
    read_slowly,
    write,
    fail_in_the_server,
    fail_in_the_handler,
)


async def one_request(pool: Pool, people: list[UUID], chance: random.Random) -> set[UUID]:
    """Act as somebody; return whose rows were seen that are not theirs."""
    user_id = chance.choice(people)
    deed = chance.choice(DEEDS) if chance.random() > 0.01 else outlast_the_statement
    # Some give up while they wait for a connection, some inside of a statement.
    seconds = chance.choice((10.0, 10.0, 0.001, 0.002, 0.004, 0.008))
    try:
        async with asyncio.timeout(seconds), begin(pool, user(user_id)) as tx:
            return await deed(tx) - {user_id}
    except (ZeroDivisionError, TimeoutError, DomainError, RuntimeError):
        return set()


async def interleave(database: Database, requests: int, seed: int) -> None:
    """Let many requests share two connections; about half of them end badly."""
    people = await populate(database)
    pool = await Pool.open(database.api_url, max_size=2, statement_timeout_seconds=0.2)
    chance = random.Random(seed)
    done = 0
    try:
        for _ in range(requests // AT_ONCE):
            tasks = [asyncio.create_task(one_request(pool, people, chance)) for _ in range(AT_ONCE)]
            await asyncio.sleep(0)
            for task in tasks:
                if chance.random() < 0.2:
                    task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(result, asyncio.CancelledError):
                    assert result == set(), f"seed {seed}: {result}"
                    done += 1
            async with begin(pool, ANONYMOUS) as tx:
                assert await MY_ROWS.all(tx) == [], f"seed {seed}"
            async with pool.connection() as connection:
                # What stands there outside of any transaction.
                assert not await _left(connection), f"seed {seed}"
        async with begin(pool, ANONYMOUS) as tx:
            assert await WHO.all(tx) == [None]
            assert await OPEN_SESSIONS.one(tx) <= 4  # two, and cancelled ones on their way out
    finally:
        await pool.close()
    assert done > requests // 2
    system = await Pool.open(database.system_url, max_size=1)
    async with begin(system, ANONYMOUS) as tx:
        assert await LABELS_OF_OTHERS.one(tx) == 0, f"seed {seed}: written under another name"
    await system.close()


async def _left(connection: asyncpg.Connection) -> str:
    # In a transaction of its own: behind a pooler two messages may reach two servers.
    async with connection.transaction():
        return await connection.fetchval(SETTINGS.sql)


async def test_cancelled_and_failing_requests_leak_nothing_over_two_connections(
    database: Database,
) -> None:
    await interleave(database, requests=400, seed=7)


async def test_behind_a_pooler_they_leak_nothing_either(pooled: Pooled) -> None:
    assert SERVER_CONNECTIONS == 2
    await interleave(pooled, requests=400, seed=7)


@pytest.mark.soak
async def test_ten_thousand_interleaved_requests_leak_nothing(database: Database) -> None:
    await interleave(database, requests=10_000, seed=random.randrange(1 << 32))


@pytest.mark.soak
async def test_ten_thousand_behind_a_pooler_leak_nothing(pooled: Pooled) -> None:
    await interleave(pooled, requests=10_000, seed=random.randrange(1 << 32))


async def test_a_setting_that_outlived_its_transaction_would_be_found(database: Database) -> None:
    pool = await Pool.open(database.api_url, max_size=1)
    try:
        async with pool.connection() as connection:
            await connection.execute(f"SET app.user_id = '{new_id()}'")
            assert await _left(connection)
    finally:
        await pool.close()
