"""Role by table by verb, generated from the catalogue: what rules.py does not allow is refused."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.postgres import Database
from tests.rls import rules
from tests.rls.matrix import findings
from tests.rls.people import World, make_world
from tests.rls.rules import Viewer


@pytest_asyncio.fixture
async def world(database: Database) -> World:
    return await make_world(database)


@pytest.mark.req("DBR-02", "TST-02")
@pytest.mark.req("DBR-01")
@pytest.mark.parametrize(
    "viewers",
    [
        [
            Viewer("ping_api"),
            Viewer("ping_worker"),
            Viewer("ping_system"),
            Viewer("ping_reader"),
            Viewer("ping_api", claim="moderator"),
            Viewer("ping_api", claim="admin"),
            Viewer("ping_worker", claim="admin"),
            Viewer("ping_api", kind="api_key"),
            Viewer("ping_api", kind="anonymous", is_known=False),
            Viewer("ping_worker", kind="system", is_known=False),
        ],
        # Each alone: who becomes an administrator is another row, and is signed out.
        [Viewer("ping_admin")],
        [Viewer("ping_admin", claim="admin")],
    ],
    ids=["others", "admin", "admin-claimed"],
)
async def test_every_table_lets_each_viewer_do_what_its_rule_says_and_nothing_else(
    world: World, viewers: list[Viewer]
) -> None:
    found = {viewer: await findings(world, viewer) for viewer in viewers}
    assert {viewer: differs for viewer, differs in found.items() if differs} == {}


@pytest.mark.parametrize("viewer", ["grace", "eve"])
async def test_whom_others_have_blocked_sees_no_more_than_anybody(
    database: Database, viewer: str
) -> None:
    assert not await findings(await make_world(database, viewer))


@pytest.mark.req("ACC-09")
async def test_a_session_that_was_revoked_stays_revoked(world: World) -> None:
    connection = await asyncpg.connect(world.database.api_url)
    revoke = "UPDATE sessions SET revoked_at = $1"
    try:
        await connection.execute("SELECT set_config('app.user_id', $1, false)", str(world.viewer))
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
async def test_a_planted_hole_is_found(database: Database, plant: str, complaint: str) -> None:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(plant)
    await connection.close()
    found = await findings(await make_world(database))
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
    assert await findings(await make_world(database), looking_as(role))


async def test_without_a_known_user_no_row_of_any_table_is_seen(world: World) -> None:
    connection = await asyncpg.connect(world.database.api_url)
    try:
        for context in (None, "", "00000000-0000-7000-8000-000000000000"):
            async with connection.transaction():
                if context is not None:
                    await connection.execute("SELECT set_config('app.user_id', $1, true)", context)
                await _sees_nothing(connection, world)
    finally:
        await connection.close()


async def _sees_nothing(connection: asyncpg.Connection, world: World) -> None:
    for table in world.rows:
        readable: list[Any] = await connection.fetch(
            """SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass
            AND attnum > 0 AND has_column_privilege(attrelid, attnum, 'SELECT')""",
            table,
        )
        if readable:
            assert not await connection.fetch(f"SELECT {readable[0]['attname']} FROM {table}"), (
                table
            )


def looking_as(role: str) -> Viewer:
    """Return who has all that a role of the database may have."""
    return Viewer(role, claim="admin" if role == "ping_admin" else "user")


@pytest.mark.soak
async def test_a_policy_that_is_missing_is_found_whichever_it_is(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_url)
    policies = await connection.fetch(
        """SELECT * FROM pg_policies WHERE schemaname = 'public' AND policyname <> 'machine'
        -- Last, as it changes what the others look at: who becomes an administrator is signed out.
        ORDER BY 'ping_admin' = ANY (roles), tablename, policyname"""
    )
    world = await make_world(database)
    assert len(policies) > 30
    unnoticed: list[str] = []
    for policy in policies:
        place = f"{policy['policyname']} ON {policy['tablename']}"
        viewers = [looking_as(role) for role in policy["roles"]]
        viewers += [Viewer("ping_api", kind="api_key")] * ("ping_api" in policy["roles"])
        await connection.execute(f"DROP POLICY {place}")
        if not [text for viewer in viewers for text in await findings(world, viewer)]:
            unnoticed.append(place)
        await connection.execute(_written(policy))
        for viewer in viewers:
            if viewer.role != "ping_admin":
                assert not await findings(world, viewer), f"{place} was put back"
    await connection.close()
    assert not unnoticed


def _written(policy: asyncpg.Record) -> str:
    """Return the statement that makes a policy again."""
    using, check = policy["qual"], policy["with_check"]
    return (
        f"CREATE POLICY {policy['policyname']} ON {policy['tablename']} AS {policy['permissive']}"
        f" FOR {policy['cmd']} TO {', '.join(policy['roles'])}"
        + (f" USING ({using})" if using else "")
        + (f" WITH CHECK ({check})" if check else "")
    )
