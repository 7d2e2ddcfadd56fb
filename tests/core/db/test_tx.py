"""Transactions are lazy, carry their actor, and leave nothing behind."""

import asyncio
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.actor import ANONYMOUS, SYSTEM, Actor
from core.db import (
    Conflict,
    Pool,
    Raced,
    assert_no_transaction,
    begin,
    command,
    network_forbidden,
    query,
)
from core.errors import DomainError
from core.ids import UserId, new_id
from tests.fixtures.postgres import Database

CONTEXT = query(
    str,
    """
    SELECT concat_ws('|', app.user_id(), app.role(), app.request_id(),
      current_setting('app.actor_kind', true), current_setting('app.ip', true),
      current_setting('app.endpoint', true))
    """,
)
TOLD = query(
    str,
    "SELECT current_setting('app.user_agent') || '|' || current_setting('app.endpoint')",
)
ADD_USER = query(UUID, "INSERT INTO users (full_name) VALUES ($1) RETURNING id", login="system")
NAMES = query(str, "SELECT full_name FROM users ORDER BY full_name", login="system")
RENAME_ALL = command("UPDATE users SET full_name = $1 WHERE true", login="system")


class Meeting:
    """Lets nobody go on before all are there."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._all_there = asyncio.Event()

    async def wait(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all_there.set()
        await asyncio.wait_for(self._all_there.wait(), 10)


def user(user_id: UUID) -> Actor:
    return Actor(kind="user", user_id=UserId(user_id))


async def test_a_block_without_a_query_takes_no_connection() -> None:
    pool = await Pool.open("postgresql://nobody@127.0.0.1:1/nowhere")
    async with begin(pool, ANONYMOUS) as tx:
        assert not tx.is_open
    await pool.close()


async def test_the_first_query_opens_the_transaction_with_its_actor(api_pool: Pool) -> None:
    user_id = new_id()
    actor = Actor(
        kind="user",
        user_id=UserId(user_id),
        role="moderator",
        request_id="r-1",
        ip="192.0.2.1",
        endpoint="GET /v1/me",
    )
    async with begin(api_pool, actor) as tx:
        assert await CONTEXT.one(tx) == f"{user_id}|moderator|r-1|user|192.0.2.1|GET /v1/me"
        assert tx.is_open


@given(agent=st.text(max_size=40), endpoint=st.text(max_size=40))
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(agent="x', true); DROP TABLE users; --", endpoint="\\' \\\\")
@example(agent="{timeout} %s $1", endpoint="G\u00f6del \U0001f48d \0 \ud800")
async def test_whatever_a_client_calls_itself_is_only_text(
    api_pool: Pool, agent: str, endpoint: str
) -> None:
    actor = Actor(kind="user", user_id=UserId(new_id()), user_agent=agent, endpoint=endpoint)
    async with begin(api_pool, actor) as tx:
        said = await TOLD.one(tx)
    wanted = f"{agent}|{endpoint}".replace("\0", "")
    assert said == wanted.encode(errors="replace").decode()


async def test_a_process_that_freezes_inside_a_transaction_does_not_keep_its_locks(
    database: Database,
) -> None:
    frozen = await Pool.open(database.system_url, statement_timeout_seconds=0.3)
    other = await Pool.open(database.system_url, statement_timeout_seconds=5)
    async with begin(other, SYSTEM) as tx:
        await ADD_USER.one(tx, "Ada")

    async def freeze() -> None:
        async with begin(frozen, SYSTEM) as holding:
            await RENAME_ALL.run(holding, "Grace")
            async with begin(other, SYSTEM) as tx:
                await RENAME_ALL.run(tx, "Alan")

    with pytest.raises(DomainError, match="unavailable"):
        await freeze()
    async with begin(other, SYSTEM) as tx:
        assert await NAMES.all(tx) == ["Alan"]
    await frozen.close()
    await other.close()


async def test_rows_appear_to_others_when_the_block_ends(system_pool: Pool) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        await ADD_USER.one(tx, "Ada")
        async with begin(system_pool, SYSTEM) as other:
            assert await NAMES.all(other) == []
    async with begin(system_pool, SYSTEM) as tx:
        assert await NAMES.all(tx) == ["Ada"]


async def test_an_exception_takes_everything_back(system_pool: Pool) -> None:
    async def fail() -> None:
        async with begin(system_pool, SYSTEM) as tx:
            await ADD_USER.one(tx, "Ada")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with begin(system_pool, SYSTEM) as tx:
        assert await NAMES.all(tx) == []


async def test_a_read_only_transaction_writes_nothing(system_pool: Pool) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with begin(system_pool, SYSTEM, read_only=True) as tx:
            await ADD_USER.one(tx, "Ada")


async def test_of_serializable_ones_that_decide_by_the_same_rows_one_commits(
    system_pool: Pool,
) -> None:
    async def add_unless_there(name: str) -> None:
        async with begin(system_pool, SYSTEM, serializable=True) as tx:
            found = await NAMES.all(tx)
            await both_have_read.wait()
            if not found:
                await ADD_USER.one(tx, name)

    both_have_read = Meeting(2)
    # What each writes does not collide: what they have read does.
    ended = await asyncio.gather(
        *(add_unless_there(name) for name in ("Ada", "Grace")), return_exceptions=True
    )
    assert [type(end) for end in ended if end is not None] == [Raced]
    assert Raced().code == "service.unavailable"
    async with begin(system_pool, SYSTEM, read_only=True) as tx:
        assert len(await NAMES.all(tx)) == 1


async def test_a_swallowed_failure_does_not_pass_for_a_commit(system_pool: Pool) -> None:
    async def swallow() -> None:
        async with begin(system_pool, SYSTEM) as tx:
            await ADD_USER.one(tx, "Ada")
            with pytest.raises(Conflict):
                await RENAME_ALL.run(tx, "")

    with pytest.raises(RuntimeError, match="nothing is committed"):
        await swallow()


async def test_a_transaction_that_ended_is_not_opened_again(system_pool: Pool) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        pass
    with pytest.raises(RuntimeError, match="ended"):
        await NAMES.all(tx)


async def test_a_broken_constraint_is_named(system_pool: Pool) -> None:
    with pytest.raises(Conflict) as conflict:
        async with begin(system_pool, SYSTEM) as tx:
            await ADD_USER.one(tx, "")
    assert conflict.value.constraint_name == "users_full_name_check"


@pytest.mark.parametrize("text", ["nul\0", "\ud800"])
async def test_text_that_postgresql_cannot_hold_is_an_invalid_request(
    system_pool: Pool, text: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        async with begin(system_pool, SYSTEM) as tx:
            await ADD_USER.one(tx, text)
    assert refusal.value.code == "request.invalid"


async def test_a_number_that_is_too_large_is_an_invalid_request(system_pool: Pool) -> None:
    with pytest.raises(DomainError) as refusal:
        async with begin(system_pool, SYSTEM) as tx:
            await query(int, "SELECT $1::int", login="system").one(tx, 1 << 40)
    assert refusal.value.code == "request.invalid"


async def test_a_refusal_of_the_database_keeps_its_code(api_pool: Pool) -> None:
    with pytest.raises(DomainError) as refusal:
        async with begin(api_pool, user(new_id())) as tx:
            await query(UUID, "SELECT id FROM app.open_direct_conversation($1)").one(tx, new_id())
    assert refusal.value.code == "conversation.partner_invalid"


async def test_an_unknown_code_raised_by_the_database_stays_a_fault(database: Database) -> None:
    pool = await Pool.open(database.superuser_url)
    try:
        with pytest.raises(asyncpg.RaiseError):
            async with begin(pool, SYSTEM) as tx:
                await command("DO $$ BEGIN RAISE EXCEPTION 'ping:no.such_code'; END $$").run(tx)
    finally:
        await pool.close()


async def test_rows_become_structs_by_position_and_json_stays_json(system_pool: Pool) -> None:
    class Row(msgspec.Struct, frozen=True):
        number: int
        settings: msgspec.Raw

    async with begin(system_pool, SYSTEM) as tx:
        row = await query(Row, "SELECT 7 AS number, $1::jsonb AS settings", login="system").one(
            tx, b'{"a": [1, "\xc3\xa4"]}'
        )
        affected = await command("UPDATE users SET locale = $1 WHERE true").run(tx, "de")
    assert msgspec.json.decode(row.settings) == {"a": [1, "ä"]}
    assert msgspec.json.encode(row) == '{"number":7,"settings":{"a": [1, "ä"]}}'.encode()
    assert affected == 0


async def test_one_wants_exactly_one_row_and_first_takes_what_there_is(system_pool: Pool) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        assert await NAMES.first(tx) is None
        with pytest.raises(LookupError):
            await NAMES.one(tx)
        await command("INSERT INTO users (full_name) VALUES ($1), ($2)").run(tx, "Ada", "Grace")
        assert await NAMES.first(tx) == "Ada"
        with pytest.raises(LookupError):
            await NAMES.one(tx)
        assert await RENAME_ALL.run(tx, "Alan") == 2


async def test_network_is_forbidden_from_the_first_query_to_the_end(system_pool: Pool) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        assert_no_transaction()
        await NAMES.all(tx)
        with pytest.raises(RuntimeError, match="network"):
            assert_no_transaction()
        # A task started here and living longer is free once the transaction has ended.
        ended = asyncio.Event()
        later = asyncio.create_task(_check_after(ended))
    assert_no_transaction()
    assert network_forbidden.get() is None
    ended.set()
    await later


async def _check_after(ended: asyncio.Event) -> None:
    await ended.wait()
    assert_no_transaction()
