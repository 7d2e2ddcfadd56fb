"""The audit log names who changed what, and keeps no secret."""

import asyncpg
import msgspec
import pytest

from core.actor import SYSTEM, Actor
from core.db import Pool, begin, command, query
from core.errors import DomainError
from core.ids import UserId
from tests.fixtures.postgres import Database


class Entry(msgspec.Struct, frozen=True):
    action: str
    old_values: msgspec.Raw | None
    new_values: msgspec.Raw | None
    ip: str | None
    user_agent: str | None
    endpoint: str | None
    request_id: str | None


ADD_USER = query(
    UserId.__supertype__,
    "INSERT INTO users (full_name, email) VALUES ('Ada', '\\x01'::bytea) RETURNING id",
    login="system",
)
RENAME = command("UPDATE users SET full_name = $1 WHERE id = app.user_id()")
ENTRIES = query(
    Entry,
    """
    SELECT action, old_values, new_values, host(ip) AS ip, user_agent, endpoint, request_id
    FROM audit_log
    WHERE resource_type = 'users' AND user_id = app.user_id()
    ORDER BY at, id
    """,
)


@pytest.mark.req("SEC-03")
async def test_a_change_is_recorded_with_its_author_and_both_values(
    api_pool: Pool, system_pool: Pool
) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        user_id = UserId(await ADD_USER.one(tx))
    actor = Actor(
        kind="user",
        user_id=user_id,
        request_id="req-1",
        ip="192.0.2.7",
        user_agent="test",
        endpoint="PATCH /v1/me",
    )
    async with begin(api_pool, actor) as tx:
        await RENAME.run(tx, "Ada Lovelace")
    async with begin(api_pool, actor) as tx:
        (entry,) = await ENTRIES.all(tx)
    assert entry.old_values is not None
    assert entry.new_values is not None
    assert msgspec.json.decode(entry.old_values) == {"full_name": "Ada"}
    assert msgspec.json.decode(entry.new_values) == {"full_name": "Ada Lovelace"}
    assert (entry.action, entry.ip, entry.user_agent) == ("update", "192.0.2.7", "test")
    assert (entry.endpoint, entry.request_id) == ("PATCH /v1/me", "req-1")


async def test_an_address_that_is_none_does_not_stop_the_change(
    api_pool: Pool, system_pool: Pool
) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        user_id = UserId(await ADD_USER.one(tx))
    actor = Actor(kind="user", user_id=user_id, ip="no address")
    async with begin(api_pool, actor) as tx:
        assert await RENAME.run(tx, "Ada Lovelace") == 1
        assert [entry.ip for entry in await ENTRIES.all(tx)] == [None]


async def test_secrets_are_named_but_not_kept(database: Database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        user = await connection.fetchval(
            "INSERT INTO users (full_name, email, email_hash)"
            " VALUES ('Ada', '\\x5ec1', '\\x5ec2') RETURNING id"
        )
        await connection.execute(
            """INSERT INTO rings (user_id, kind, status, tap_key, id_key, claim_code_hash,
              nfc_uid_hash)
            VALUES ($1, 'ble', 'active', '\\x5ec3', '\\x5ec4', '\\x5ec5', '\\x5ec6')""",
            user,
        )
        await connection.execute(
            """INSERT INTO sessions (user_id, family_id, token_hash, expires_at)
            VALUES ($1, $1, '\\x5ec7', now())""",
            user,
        )
        entries = [row[0] for row in await connection.fetch("SELECT new_values FROM audit_log")]
    finally:
        await connection.close()
    text = " ".join(entries)
    assert '"email"' in text
    assert '"tap_key"' in text
    assert "5ec" not in text


@pytest.mark.parametrize("login", ["api", "worker", "system"])
@pytest.mark.parametrize("verb", ["UPDATE audit_log SET action = 'view'", "DELETE FROM audit_log"])
async def test_nobody_changes_an_entry(database: Database, login: str, verb: str) -> None:
    connection = await asyncpg.connect(getattr(database, f"{login}_url"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(verb)
    finally:
        await connection.close()


async def test_a_tap_counter_is_no_modification(system_pool: Pool, database: Database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        await connection.execute("INSERT INTO rings (kind) VALUES ('ble')")
        before = await connection.fetchval("SELECT count(*) FROM audit_log")
        await connection.execute("UPDATE rings SET last_boot = 1, last_seq = 2, sun_counter = 3")
        assert await connection.fetchval("SELECT count(*) FROM audit_log") == before
    finally:
        await connection.close()


async def test_writing_where_one_may_not_is_refused_with_a_code(
    api_pool: Pool,
) -> None:
    with pytest.raises(DomainError) as refusal:
        async with begin(api_pool, Actor(kind="anonymous")) as tx:
            await command("DELETE FROM audit_log WHERE true").run(tx)
    assert refusal.value.code == "auth.forbidden"
