"""Role by table by verb, generated from the catalogue: what rules.py does not allow is refused."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.postgres import Database
from tests.rls import rules

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass
class World:
    """Ada's and Grace's rows; Eve has the same of her own and shares nothing."""

    database: Database
    ada: UUID
    grace: UUID
    eve: UUID
    rows: dict[str, dict[str, list[str]]]
    """table → relation to Ada → ctids, or with partitions `tableoid:ctid`."""


async def populate(connection: asyncpg.Connection) -> tuple[UUID, UUID, UUID]:
    """Put rows of two conversing users and of a stranger into every table."""
    people = []
    for number, name in enumerate(("Ada", "Grace", "Eve"), start=1):
        user = await connection.fetchval(
            "INSERT INTO users (full_name) VALUES ($1) RETURNING id", name
        )
        people.append(user)
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(user))
            await connection.execute(
                """INSERT INTO sessions (family_id, token_hash, expires_at)
                VALUES (uuidv7(), $1, now() + interval '1 day')""",
                name.encode(),
            )
            await connection.execute(
                "INSERT INTO idempotency_keys (key, request_hash) VALUES ('k', '')"
            )
            await connection.execute(
                """INSERT INTO user_logins (provider, issuer, subject)
                VALUES ('google', 'https://accounts.google.com', $1)""",
                name,
            )
            await connection.execute(
                """INSERT INTO api_keys (name, prefix, secret_hash, scopes)
                VALUES ('backend', $1, $2, '{taps:read}')""",
                f"{number + 1}" * 12,
                number.to_bytes(32, "big"),
            )
            await connection.execute("INSERT INTO contact_cards (card) VALUES ('')")
            await connection.execute(
                """INSERT INTO consents (purpose, granted, text_version, source, granted_at)
                VALUES ('location', true, 1, 'settings', now())"""
            )
        ring = await connection.fetchval(
            """INSERT INTO rings (user_id, kind, status, label, device_id)
            VALUES ($1, 'ble', 'active', 'ring', $2) RETURNING id""",
            user,
            number.to_bytes(8, "big"),
        )
        await connection.execute(
            """INSERT INTO ring_claims (
              user_id, ring_id, code_hash, label, nonce, hub_public_key, expires_at
            )
            VALUES ($1, $2, '', 'ring', $3, $4, now())""",
            user,
            ring,
            bytes(8),
            bytes(32),
        )
        gateway = await connection.fetchval(
            "INSERT INTO gateways (user_id, name) VALUES ($1, 'home') RETURNING id", user
        )
        await connection.execute(
            """INSERT INTO gateway_certificates (
              user_id, gateway_id, serial, fingerprint, public_key_hash, certificate,
              not_before, not_after
            )
            VALUES ($1, $2, $3, $4, $4, '', now(), now() + interval '90 days')""",
            user,
            gateway,
            f"{number:016x}",
            number.to_bytes(32, "big"),
        )
        await connection.execute(
            """INSERT INTO ring_taps (user_id, ring_id, kind, source, boot, seq, partner_user_id)
            VALUES ($1, $2, 'ring_to_ring', 'ble', 1, 1, $3)""",
            user,
            ring,
            people[0] if name == "Grace" else None,
        )
        await connection.execute(
            "INSERT INTO rejected_taps (gateway_id, reason) VALUES ($1, 'bad_tag')", gateway
        )
    ada, grace, eve = people
    for one, other in ((ada, grace), (grace, eve), (eve, grace)):
        await connection.execute(
            "INSERT INTO blocks (user_id, blocked_id) VALUES ($1, $2)", one, other
        )
    for one, other in ((ada, grace), (grace, eve)):
        await connection.execute("SELECT app.befriend($1, $2, 'ring_tap')", one, other)
    meeting = await connection.fetchval("SELECT uuidv7()")
    for side, one in enumerate((ada, grace), start=1):
        await connection.execute(
            """INSERT INTO touches (user_id, meeting_id, side, expires_at)
            VALUES ($1, $2, $3, now())""",
            one,
            meeting,
            side,
        )
    await connection.execute(
        "INSERT INTO touches (user_id, side, expires_at) VALUES ($1, 1, now())", eve
    )
    await connection.execute(
        """INSERT INTO consumer_tasks (event_id, occurred_at, consumer)
        SELECT id, occurred_at, 'test' FROM events"""
    )
    await connection.execute(
        """INSERT INTO data_keys (id, scope, number, wrapped, wrapped_by, seals_from)
        VALUES (1, 'people', 1, '', 'ring:1', now())"""
    )
    ada, grace, eve = people
    for one, other in ((ada, grace), (eve, None)):
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(one))
            conversation = await connection.fetchval(
                "INSERT INTO conversations (kind) VALUES ('group') RETURNING id"
            )
            for member in filter(None, (one, other)):
                await connection.execute(
                    "INSERT INTO conversation_members (conversation_id, user_id) VALUES ($1, $2)",
                    conversation,
                    member,
                )
                await connection.execute(
                    """INSERT INTO messages (conversation_id, sender_id, body)
                    VALUES ($1, $2, 'hello')""",
                    conversation,
                    member,
                )
    return ada, grace, eve


OWNER = {"users": "id", "messages": "sender_id"}
"""Owner columns that are not `user_id`."""


async def tables_of(connection: asyncpg.Connection) -> list[str]:
    """Return all tables of the hub; partitions stand behind their parent."""
    rows = await connection.fetch(
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace ORDER BY relname"""
    )
    return [row["relname"] for row in rows]


async def relations(
    connection: asyncpg.Connection, table: str, ada: UUID, grace: UUID
) -> dict[str, list[str]]:
    """Return the rows' places by what they are to Ada."""
    columns = {
        row["attname"]
        for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0", table
        )
    }
    found: dict[str, list[str]] = {}
    owner = OWNER.get(table, "user_id")
    shared = {
        "profiles": "user_id = $2",
        "ring_taps": "partner_user_id = $1",
        "rejected_taps": "gateway_id IN (SELECT id FROM gateways WHERE user_id = $1)",
        "friendships": "friend_id = $1",
        "touches": """meeting_id IN (SELECT meeting_id FROM touches WHERE user_id = $1)""",
        "conversations": """id IN (
          SELECT conversation_id FROM conversation_members WHERE user_id = $1)""",
        "conversation_members": "user_id = $2",
        "messages": "sender_id = $2",
    }.get(table, "false")
    own = f"{owner} = $1" if owner in columns else "false"
    for row in await connection.fetch(
        f"""SELECT tableoid::text || ':' || ctid::text AS place,
        CASE WHEN {own} THEN 'own' WHEN {shared} THEN 'shared' ELSE 'foreign' END AS relation
        FROM {table} WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL""",
        ada,
        grace,
    ):
        found.setdefault(row["relation"], []).append(row["place"])
    return found


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    connection = await asyncpg.connect(database.superuser_url)
    ada, grace, eve = await populate(connection)
    rows = {
        table: await relations(connection, table, ada, grace)
        for table in await tables_of(connection)
    }
    await connection.close()
    yield World(database, ada, grace, eve, rows)


async def allowed(
    connection: asyncpg.Connection, world: World, table: str, relation: str
) -> set[str]:
    """Try each verb on the rows of one relation; return those that reached any of them."""
    places = world.rows[table].get(relation, [])
    found: set[str] = set()
    columns = await connection.fetch(
        """SELECT attname,
          has_column_privilege(attrelid, attnum, 'SELECT') AS readable,
          has_column_privilege(attrelid, attnum, 'UPDATE') AND attidentity = '' AS writable
        FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''""",
        table,
    )
    readable = [row["attname"] for row in columns if row["readable"]]
    writable = [row["attname"] for row in columns if row["writable"]]
    # System columns need a right on the whole table, so the rows are found by their keys.
    if readable:
        visible = await connection.fetch(f"SELECT {', '.join(readable)} FROM {table}")
        found |= {"SELECT"} if await _seen(world, table, places, readable, visible) else set()
    if writable:
        async with _undone(connection):
            touched = await connection.fetch(
                f"UPDATE {table} SET {writable[0]} = {writable[0]} RETURNING {', '.join(readable)}"
            )
        found |= {"UPDATE"} if await _seen(world, table, places, readable, touched) else set()
    try:
        async with _undone(connection):
            gone = await connection.fetch(f"DELETE FROM {table} RETURNING {', '.join(readable)}")
            if await _seen(world, table, places, readable, gone):
                found.add("DELETE")
    except asyncpg.InsufficientPrivilegeError:
        pass
    except asyncpg.PostgresSyntaxError:
        assert not readable
    return found


class _undone:  # noqa: N801  # reads as a word in `async with`
    """A savepoint that is always rolled back."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *error: object) -> None:
        await self._transaction.rollback()


async def _seen(
    world: World, table: str, places: list[str], columns: list[str], rows: list[asyncpg.Record]
) -> bool:
    """Say whether one of the rows stands at one of the places, asked of the superuser."""
    connection = await asyncpg.connect(world.database.superuser_url)
    try:
        known = await connection.fetch(
            f"""SELECT {", ".join(columns)} FROM {table}
            WHERE tableoid::text || ':' || ctid::text = ANY ($1)""",
            places,
        )
    finally:
        await connection.close()
    keys = [name for name in columns if name not in {"updated_at", "last_message_at"}]
    wanted = {tuple(str(row[name]) for name in keys) for row in known}
    return any(tuple(str(row[name]) for name in keys) in wanted for row in rows)


async def inserts(
    connection: asyncpg.Connection, world: World, table: str, login: str
) -> dict[str, bool]:
    """Try to add a copy of an own and of a foreign row; return which was let in."""
    superuser = await asyncpg.connect(world.database.superuser_url)
    try:
        columns = [
            row["attname"]
            for row in await superuser.fetch(
                """SELECT attname FROM pg_attribute
                WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = ''
                AND has_column_privilege($2, attrelid, attnum, 'INSERT')""",
                table,
                login,
            )
        ]
        result: dict[str, bool] = {}
        for relation, places in world.rows[table].items():
            result[relation] = False
            if not columns:
                continue
            row = await superuser.fetchrow(
                f"""SELECT {", ".join(columns)} FROM {table}
                WHERE tableoid::text || ':' || ctid::text = $1""",
                places[0],
            )
            values = {name: row[name] for name in columns if name != "id"}
            for name in ("token_hash", "key", "client_key"):
                if name in values:
                    values[name] = b"new" if name == "token_hash" else "new"
            marks = ", ".join(f"${n}" for n in range(1, len(values) + 1))
            try:
                async with _undone(connection):
                    await connection.execute(
                        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",
                        *values.values(),
                    )
                result[relation] = True
            except (asyncpg.UniqueViolationError, asyncpg.NotNullViolationError):
                result[relation] = True  # policies are asked before constraints
            except asyncpg.InsufficientPrivilegeError:
                pass
        return result
    finally:
        await superuser.close()


async def findings(world: World, role: str) -> list[str]:
    """Return every cell of the matrix that differs from the rules."""
    connection = await asyncpg.connect(login_of(world.database, role))
    found: list[str] = []
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role}")
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(world.ada))
            for table in world.rows:
                if table not in rules.API:
                    found.append(f"{table}: no rule")
                    continue
                inserted = await inserts(connection, world, table, role)
                for relation in world.rows[table]:
                    expected = rules.expected(role, table, relation)
                    verbs = await allowed(connection, world, table, relation)
                    verbs |= {"INSERT"} if inserted[relation] else set()
                    if role in USERS_ROLES and (table, relation) in rules.BECOMES_OWN:
                        verbs -= {"INSERT"}
                    if verbs != expected:
                        found.append(
                            f"{role} {table} {relation}: {sorted(verbs)}, not {sorted(expected)}"
                        )
    finally:
        await connection.close()
    return found


USERS_ROLES = ("ping_api", "ping_worker")


def login_of(database: Database, role: str) -> str:
    """Return the address for a role; ping_admin is entered from the interface's login."""
    login = "ping_api" if role == "ping_admin" else role
    return getattr(database, login.replace("ping_", "") + "_url")


@pytest.mark.req("DBR-02", "TST-02")
@pytest.mark.req("DBR-01")
@pytest.mark.parametrize(
    "role", ["ping_api", "ping_worker", "ping_system", "ping_admin", "ping_reader"]
)
async def test_every_table_lets_each_role_do_what_its_rule_says_and_nothing_else(
    world: World, role: str
) -> None:
    assert not await findings(world, role)


@pytest.mark.req("ACC-09")
async def test_a_session_that_was_revoked_stays_revoked(world: World) -> None:
    connection = await asyncpg.connect(world.database.api_url)
    revoke = "UPDATE sessions SET revoked_at = $1"
    try:
        await connection.execute("SELECT set_config('app.user_id', $1, false)", str(world.ada))
        assert await connection.execute(revoke, datetime.now(UTC)) == "UPDATE 1"
        assert await connection.execute(revoke, None) == "UPDATE 0"
    finally:
        await connection.close()


async def test_the_world_has_foreign_rows_in_every_table(world: World) -> None:
    assert {table for table, rows in world.rows.items() if not rows.get("foreign")} == set()


async def test_rules_speak_of_existing_tables_only(world: World) -> None:
    assert set(rules.API) == set(world.rows)


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        ("ALTER TABLE rings DISABLE ROW LEVEL SECURITY", "rings foreign"),
        ("DROP POLICY member ON messages", "messages own"),
        ("CREATE POLICY open ON profiles FOR SELECT USING (true)", "profiles foreign"),
        (
            "GRANT DELETE ON messages TO ping_api; CREATE POLICY d ON messages USING (true)",
            "DELETE",
        ),
        ("CREATE TABLE forgotten (id uuid)", "forgotten: no rule"),
    ],
)
async def test_a_planted_hole_is_found(
    database: Database, plant: str, complaint: str, request: pytest.FixtureRequest
) -> None:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(plant)
    await connection.close()
    superuser = await asyncpg.connect(database.superuser_url)
    ada, grace, eve = await populate(superuser)
    rows = {
        table: await relations(superuser, table, ada, grace) for table in await tables_of(superuser)
    }
    await superuser.close()
    found = await findings(World(database, ada, grace, eve, rows), "ping_api")
    assert any(complaint in text for text in found), found


@pytest.mark.parametrize(
    ("role", "plant"),
    [
        (
            "ping_reader",
            """GRANT SELECT ON profiles TO ping_reader;
            CREATE POLICY r ON profiles TO ping_reader USING (true)""",
        ),
        (
            "ping_admin",
            """GRANT DELETE ON audit_log TO ping_admin;
            CREATE POLICY d ON audit_log FOR DELETE TO ping_admin USING (true)""",
        ),
        ("ping_system", "GRANT UPDATE ON audit_log TO ping_system"),
    ],
)
async def test_a_hole_planted_for_a_role_of_ours_is_found(
    database: Database, role: str, plant: str
) -> None:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(plant)
    await connection.close()
    superuser = await asyncpg.connect(database.superuser_url)
    ada, grace, eve = await populate(superuser)
    rows = {
        table: await relations(superuser, table, ada, grace) for table in await tables_of(superuser)
    }
    await superuser.close()
    assert await findings(World(database, ada, grace, eve, rows), role)


@pytest.mark.parametrize("context", [None, "", "00000000-0000-7000-8000-000000000000"])
async def test_without_a_known_user_no_row_of_any_table_is_seen(
    world: World, context: str | None
) -> None:
    connection = await asyncpg.connect(world.database.api_url)
    try:
        async with connection.transaction():
            if context is not None:
                await connection.execute("SELECT set_config('app.user_id', $1, true)", context)
            for table in world.rows:
                readable: list[Any] = await connection.fetch(
                    """SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass
                    AND attnum > 0 AND has_column_privilege(attrelid, attnum, 'SELECT')""",
                    table,
                )
                if readable:
                    assert not await connection.fetch(
                        f"SELECT {readable[0]['attname']} FROM {table}"
                    ), table
    finally:
        await connection.close()
