"""Migrations go up and down, are all or nothing, and see every row."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

import migrations.scripts
from core.errors import ConfigError
from hub.processes import dumping, migrating
from tests.fixtures.postgres import Database, execute, run
from tests.fixtures.waiting import wait_until

SQL = Path(migrations.__file__).parent / "sql"
VERSIONS = Path(migrations.__file__).parent / "versions"


def schema(database: Database) -> str:
    """Return the whole schema as text, without what differs between two dumps."""
    text = dumping.run_program(
        database.owner_url, "pg_dump", "--schema-only", "--enable-row-security", "--no-comments"
    )
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def fetch(url: str, sql: str) -> list[asyncpg.Record]:
    async def work() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    return run(work())


@pytest.mark.req("MIG-03", "PRD-11")
def test_down_leaves_nothing_and_up_again_gives_the_same_schema(blank_database: Database) -> None:
    migrating.upgrade(blank_database.owner_url)
    first = schema(blank_database)
    migrating.downgrade(blank_database.owner_url)
    left = fetch(
        blank_database.superuser_url,
        """SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        UNION ALL SELECT proname FROM pg_proc WHERE proowner IN (
          'ping_owner'::regrole, 'ping_definer'::regrole)
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'app'""",
    )
    assert not left
    migrating.upgrade(blank_database.owner_url)
    assert schema(blank_database) == first


def structure(database: Database) -> list[str]:
    """Return columns, constraints and indexes, which steps make; rights are the objects'."""
    rows = fetch(
        database.owner_url,
        """
        SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod),
          attnotnull, attidentity, pg_get_expr(adbin, adrelid)) AS line
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid AND relkind IN ('r', 'p') AND NOT relispartition
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid))
        FROM pg_constraint
        JOIN pg_class ON pg_class.oid = conrelid AND NOT relispartition
        WHERE relnamespace = 'public'::regnamespace AND conparentid = 0 AND contype != 't'
        UNION ALL
        SELECT pg_get_indexdef(indexrelid)
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indrelid AND NOT relispartition
        WHERE relnamespace = 'public'::regnamespace
        ORDER BY line
        """,
    )
    return [row["line"] for row in rows]


@pytest.mark.req("MIG-03", "PRD-11")
def test_each_step_down_undoes_its_step_up(database: Database) -> None:
    """Of those that may still change; the others were tried before they were released."""
    newest = sorted(schema(database).splitlines())
    released = migrating.released_before(migrating.newest_revision())
    steps = migrating.steps_between(released, migrating.newest_revision())
    revisions = [released, *(step.revision for step in steps)]
    at = {revisions[-1]: structure(database)}
    for revision in reversed(revisions[:-1]):
        migrating.downgrade(database.owner_url, revision)
        at[revision] = structure(database)
    for revision in revisions[1:]:
        migrating.upgrade(database.owner_url, revision)
        assert structure(database) == at[revision], f"at {revision}"
    # Rights may stand in another order.
    assert sorted(schema(database).splitlines()) == newest


def test_indexes_that_were_built_on_partitions_beforehand_are_taken_by_the_step(
    database: Database,
) -> None:
    """As docs/migrations.md tells operators to, so that nothing is built while all is locked."""
    step = (SQL / "20261121061500_consents.up.sql").read_text()
    (create,) = re.findall(r"CREATE INDEX audit_log_request_id_idx .*;", step)
    before = schema(database)
    execute(database.owner_url, "DROP INDEX audit_log_request_id_idx")
    partitions = fetch(
        database.owner_url,
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'audit_log'::regclass",
    )
    for partition in partitions:
        here = create.replace("audit_log_request_id_idx ON audit_log", f"ON {partition['name']}")
        execute(database.owner_url, here.replace("INDEX", "INDEX CONCURRENTLY"))
    files = """SELECT indexrelid::regclass::text AS name, pg_relation_filenode(indexrelid) AS file
        FROM pg_index WHERE indexrelid::regclass::text LIKE 'audit_log%request_id_idx'
        AND pg_relation_filenode(indexrelid) IS NOT NULL ORDER BY 1"""
    built = fetch(database.owner_url, files)
    assert len(built) == len(partitions) > 1
    execute(database.owner_url, create)
    assert fetch(database.owner_url, files) == built
    assert schema(database) == before


def test_upgrading_the_newest_schema_changes_nothing(database: Database) -> None:
    before = schema(database)
    migrating.upgrade(database.owner_url)
    assert schema(database) == before


def test_objects_that_someone_changed_by_hand_come_back_when_their_text_changes(
    database: Database,
) -> None:
    execute(
        database.owner_url,
        "DROP POLICY own ON users",
        "CREATE POLICY everybody ON users USING (true)",
        "COMMENT ON SCHEMA app IS 'objects of another text'",
    )
    migrating.upgrade(database.owner_url)
    names = fetch(
        database.owner_url, "SELECT policyname FROM pg_policies WHERE tablename = 'users'"
    )
    assert {row["policyname"] for row in names} == {"machine", "own"}


def test_what_left_the_files_leaves_the_database(database: Database) -> None:
    before = sorted(schema(database).splitlines())
    execute(
        database.owner_url,
        "CREATE FUNCTION app.left_behind() RETURNS int LANGUAGE sql RETURN 1",
        # Another signature of one that is there.
        "CREATE FUNCTION app.touch(int) RETURNS int LANGUAGE sql RETURN 1",
        "CREATE POLICY left_behind ON users USING (app.left_behind() = 1)",
        "CREATE TRIGGER left_behind BEFORE UPDATE ON users EXECUTE FUNCTION app.touch()",
    )
    migrating.upgrade(database.owner_url, reapply=True)
    assert sorted(schema(database).splitlines()) == before


def test_a_function_whose_result_changes_is_made_anew(database: Database) -> None:
    before = sorted(schema(database).splitlines())
    execute(
        database.superuser_url,
        "DROP FUNCTION app.find_login(text, text)",
        "CREATE FUNCTION app.find_login(wrong text, name text) RETURNS int LANGUAGE sql RETURN 1",
        "ALTER FUNCTION app.find_login(text, text) OWNER TO ping_definer",
    )
    migrating.upgrade(database.owner_url, reapply=True)
    assert sorted(schema(database).splitlines()) == before


def test_changes_by_hand_are_named_until_the_next_migration(database: Database) -> None:
    execute(
        database.superuser_url,
        "DROP INDEX consumer_tasks_ended_idx",
        "ALTER TABLE users ADD nickname text",
        "ALTER POLICY own ON users USING (true)",
        "GRANT SELECT ON outbox TO ping_api",
    )
    assert migrating.read_state(database.owner_url).changed_by_hand == [
        "column users.nickname is new",
        "index consumer_tasks_ended_idx is gone",
        "policy users.own is another",
        "table outbox is another",
    ]
    told: list[str] = []
    after = migrating.upgrade(database.owner_url, reapply=True, tell=told.append)
    assert "changed by hand since the last migration: policy users.own is another" in told
    assert after.changed_by_hand == []


def test_next_months_partitions_are_no_change_by_hand(database: Database) -> None:
    execute(database.system_url, "SELECT app.create_partitions(5)")
    assert migrating.read_state(database.owner_url).changed_by_hand == []


def test_a_failing_script_takes_back_its_first_statements(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "objects").mkdir()
    for name in migrations.scripts.OBJECTS:
        (tmp_path / "objects" / f"{name}.sql").write_text("SELECT 1;")
    (tmp_path / "objects" / "events.sql").write_text(
        "CREATE TABLE half_done (id int); SELECT * FROM missing_table;"
    )
    monkeypatch.setattr(migrations.scripts, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match="missing_table"):
        migrating.upgrade(database.owner_url)
    assert not fetch(database.owner_url, "SELECT FROM pg_class WHERE relname = 'half_done'")


def test_a_data_migration_of_the_owner_sees_the_rows_of_all_users(database: Database) -> None:
    execute(
        database.system_url,
        "INSERT INTO users (full_name) VALUES ('Ada Lovelace'), ('Grace Hopper')",
    )
    changed = fetch(
        database.owner_url, "UPDATE users SET locale = 'en' WHERE locale IS NULL RETURNING id"
    )
    assert len(changed) == 2


def test_a_migration_that_cannot_have_its_locks_says_who_has_them(database: Database) -> None:
    async def upgrade_while_locked() -> None:
        connection = await asyncpg.connect(database.system_url)
        try:
            await connection.execute("BEGIN; SELECT FROM users")
            with pytest.raises(ConfigError, match="lock timeout"):
                await asyncio.to_thread(
                    migrating.upgrade,
                    database.owner_url,
                    reapply=True,
                    patience_seconds=0.1,
                    lock_seconds=0.1,
                    tell=told.append,
                )
        finally:
            await connection.close()

    told: list[str] = []
    run(upgrade_while_locked())
    assert told[0].startswith("waiting for locks; held by ping_system (pid ")


def test_a_migration_gives_way_to_a_request_that_waits_for_it(database: Database) -> None:
    """Both would wait for ever: it has the tables up to the one that the request has read."""

    def migration_waits() -> object:
        return fetch(database.superuser_url, "SELECT FROM pg_locks WHERE NOT granted")

    async def upgrade_across_a_request() -> None:
        request = await asyncpg.connect(database.superuser_url)
        try:
            await request.execute("BEGIN; SELECT FROM messages")
            upgrade = asyncio.create_task(
                asyncio.to_thread(migrating.upgrade, database.owner_url, reapply=True)
            )
            await asyncio.to_thread(wait_until, migration_waits, "the migration to wait")
            await request.execute("SELECT FROM blocks; COMMIT")
            await upgrade
        finally:
            await request.close()

    before = sorted(schema(database).splitlines())
    run(upgrade_across_a_request())
    assert sorted(schema(database).splitlines()) == before


def test_a_database_that_is_away_is_one_line(database: Database) -> None:
    url = re.sub(r":\d+/", ":1/", database.owner_url)
    with pytest.raises(ConfigError, match="does not answer"):
        migrating.upgrade(url)


@pytest.mark.req("MIG-07")
def test_every_version_has_its_scripts_and_every_script_its_version() -> None:
    versions = {path.stem for path in VERSIONS.glob("*.py")}
    assert versions == {path.name.removesuffix(".up.sql") for path in SQL.glob("*.up.sql")}
    assert versions == {path.name.removesuffix(".down.sql") for path in SQL.glob("*.down.sql")}
    assert all(re.fullmatch(r"\d{14}_[a-z_]+", name) for name in versions)


def test_a_dump_of_the_owner_restores_to_the_same_schema_and_rows(
    database: Database, blank_database: Database, tmp_path: Path
) -> None:
    execute(
        database.system_url,
        "INSERT INTO users (full_name) VALUES ('Ada Lovelace'), ('Grace Hopper')",
        """INSERT INTO rings (user_id, kind, status, label, device_id)
        SELECT id, 'ble', 'active', 'ring', '\\x0000000000000001' FROM users LIMIT 1""",
        """SELECT app.record_taps('[{"device_id": "0000000000000001", "kind": "button",
        "source": "ble", "boot": 1, "seq": 1, "raw": "00"}]')""",
    )
    path = tmp_path / "pinghub.dump"
    dumping.dump_to(database.owner_url, path)
    assert path.stat().st_mode & 0o777 == 0o600
    dumping.restore_from(blank_database.owner_url, path)

    # Rights may stand in another order.
    assert sorted(schema(blank_database).splitlines()) == sorted(schema(database).splitlines())
    tables = fetch(
        database.owner_url,
        """SELECT relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""",
    )
    for (table,) in tables:
        rows = f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t"
        assert fetch(blank_database.owner_url, rows) == fetch(database.owner_url, rows), table
    assert fetch(blank_database.owner_url, "SELECT count(*) AS n FROM events")[0]["n"] == 1
