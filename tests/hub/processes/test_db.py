"""`pinghub db …` and Alembic's own command, as a person runs them."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.config
import asyncpg
import pytest

from core import clock, config
from core.db.bootstrap import LOGINS, as_login, at_database, bootstrap, scram_verifier
from core.errors import ConfigError
from hub import cli
from hub.processes import migrating
from hub.processes.db import passwords
from tests.fixtures.postgres import PASSWORD, Database, execute, run

ROOT = Path(cli.__file__).parents[1]
RELEASED = migrating.released_before(migrating.newest_revision())


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Pinghub = Callable[..., Done]
# `main` takes what it finds in the command line, here too.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


@pytest.fixture
def pinghub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pinghub:
    """Run the command line in this process, with a database's addresses in the environment."""

    def command(database: Database, *arguments: str, **extra: str) -> Done:
        addresses = {
            "PINGHUB_HOME": "/nonexistent",
            "DATABASE_OWNER_URL": database.owner_url,
            "DATABASE_SUPERUSER_URL": database.superuser_url,
            "DATABASE_URL": database.api_url,
        }
        for name, value in (addresses | extra).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["pinghub", "db", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return command


def tables(database: Database) -> int:
    async def work() -> int:
        connection = await asyncpg.connect(database.superuser_url)
        try:
            return await connection.fetchval(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            )
        finally:
            await connection.close()

    return run(work())


@pytest.mark.req("PRD-11")
def test_alembic_works_as_it_is(blank_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PINGHUB_HOME", "/nonexistent")
    monkeypatch.setenv("DATABASE_OWNER_URL", blank_database.owner_url)
    alembic.config.main(["upgrade", "head"])
    assert tables(blank_database) > 10
    alembic.config.main(["current", "--check-heads"])
    alembic.config.main(["downgrade", "base"])
    assert tables(blank_database) == 0


def test_a_new_database_is_made_filled_and_found_sound(
    blank_database: Database, pinghub: Pinghub
) -> None:
    assert pinghub(blank_database, "bootstrap").code == 0
    before = pinghub(blank_database, "status", "--json").json
    assert (before["revision"], before["tables"]) == (None, 0)
    assert len(before["pending"]) > 10
    found = pinghub(blank_database, "check", "--json")
    assert (found.code, len(found.json["findings"])) == (1, len(before["pending"]))

    done = pinghub(blank_database, "up", "--json")
    assert (done.code, done.json["before"], done.json["after"]) == (0, None, before["newest"])
    assert done.json["steps"] == before["pending"]
    told = done.err.splitlines()
    assert [line.split()[1] for line in told if line.startswith("up ")] == [
        step["revision"] for step in before["pending"]
    ]
    again = pinghub(blank_database, "up", "--json")
    assert (again.code, again.json["steps"], again.err) == (0, [], "")
    assert pinghub(blank_database, "bootstrap").code == 0

    after = pinghub(blank_database, "status", "--json").json
    assert (after["revision"], after["pending"]) == (before["newest"], [])
    assert (after["has_objects"], after["tables_without_rls"]) == (True, [])
    assert "the newest" in pinghub(blank_database, "status").out
    sound = pinghub(blank_database, "check")
    assert (sound.code, sound.out) == (0, "nothing is wrong\n")


def test_check_names_what_is_wrong_and_where(database: Database, pinghub: Pinghub) -> None:
    partition = f"events_{clock.now():%Y_%m}"
    execute(
        database.superuser_url,
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        "CREATE TABLE notes (id int PRIMARY KEY, user_id uuid REFERENCES users)",
        "CREATE INDEX notes_odd ON notes (id)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'notes_odd'::regclass",
        "COMMENT ON SCHEMA app IS 'objects of another text'",
        """INSERT INTO audit_log_default (actor_kind, action, resource_type, resource_id, at)
        VALUES ('user', 'view', 'x', 'x', '2001-01-01')""",
        f"DROP TABLE {partition}",
    )
    done = pinghub(database, "check", "--json")
    assert done.code == 1
    found = {(item["what"], item["where"]) for item in done.json["findings"]}
    assert found >= {
        ("without forced row-level security", "users"),
        ("without forced row-level security", "notes"),
        ("foreign key without an index", "notes (user_id)"),
        ("invalid index", "notes_odd"),
        ("other functions, policies or triggers", "schema app"),
        ("rows outside of all months", "1 in audit_log_default"),
        ("partition is missing", partition),
        ("changed by hand", "table users is another"),
        ("changed by hand", "table notes is new"),
    }
    assert all(item["hint"] for item in done.json["findings"])


def test_down_goes_to_the_release_before_when_one_is_sure(
    database: Database, pinghub: Pinghub
) -> None:
    refused = pinghub(database, "down")
    assert refused.code == 1
    steps = migrating.steps_between(RELEASED, migrating.newest_revision())[::-1]
    assert [line.split()[2] for line in refused.err.splitlines()[:-1]] == [
        step.revision for step in steps
    ]
    assert "--yes" in refused.err
    assert pinghub(database, "status", "--json").json["pending"] == []

    done = pinghub(database, "down", "--yes", "--json")
    assert (done.code, done.json["after"]) == (0, RELEASED)
    # As the release left it, with functions, policies and triggers of its own.
    status = pinghub(database, "status", "--json").json
    assert (status["changed_by_hand"], status["has_objects"]) == ([], False)
    assert status["tables_without_rls"] == []
    nothing = pinghub(database, "down", "--yes")
    assert nothing.code == 1
    assert "Nothing was released before" in nothing.err
    assert "not above" in pinghub(database, "down", "--to", RELEASED, "--yes").err
    assert pinghub(database, "down", "--to", "base", "--yes", "--json").json["after"] is None
    assert tables(database) == 0


def test_a_revision_of_newer_code_is_one_line(database: Database, pinghub: Pinghub) -> None:
    execute(database.owner_url, "UPDATE internal.alembic_version SET version_num = '20991231'")
    for arguments in (("up",), ("status",), ("check",), ("down", "--yes")):
        done = pinghub(database, *arguments)
        assert done.code == 2
        assert "20991231" in done.err
        assert done.err.count("\n") == 1


def test_a_dump_can_be_restored_by_the_same_commands(
    database: Database, blank_database: Database, tmp_path: Path, pinghub: Pinghub
) -> None:
    execute(database.system_url, "INSERT INTO users (full_name) VALUES ('Ada')")
    path = str(tmp_path / "dump")
    assert pinghub(database, "dump", path).code == 0
    done = pinghub(blank_database, "restore", path)
    assert (done.code, done.err) == (0, "")
    assert pinghub(blank_database, "check").code == 0
    again = pinghub(blank_database, "restore", path)
    assert again.code != 0
    assert "is not empty" in again.err
    assert again.err.count("\n") == 1


COMMANDS = ("up", "bootstrap", "status", "check", "down")


def test_a_server_that_is_away_is_one_line(database: Database, pinghub: Pinghub) -> None:
    away = "postgresql://ping_owner:x@127.0.0.1:1/pinghub"
    for name in COMMANDS:
        done = pinghub(database, name, DATABASE_OWNER_URL=away, DATABASE_SUPERUSER_URL=away)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert "Traceback" not in done.err


def test_a_wrong_password_is_one_line(database: Database, pinghub: Pinghub) -> None:
    wrong = database.owner_url.replace(PASSWORD, "wrong")
    for name in COMMANDS:
        done = pinghub(database, name, DATABASE_OWNER_URL=wrong, DATABASE_SUPERUSER_URL=wrong)
        assert done.code == 2
        assert "password authentication failed" in done.err
        assert done.err.count("\n") == 1


def test_without_an_address_the_setting_is_named(database: Database, pinghub: Pinghub) -> None:
    done = pinghub(database, "up", DATABASE_OWNER_URL="")
    assert done.code == 2
    assert "DATABASE_OWNER_URL" in done.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:x@host/db",
        "postgresql://ping_worker:x@host/db",
        "postgresql://ping_api@h/d",
    ],
)
def test_an_address_with_another_login_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url must name the login ping_api"):
        passwords(config.Database(url=url))


def test_passwords_are_taken_from_the_addresses() -> None:
    assert passwords(
        config.Database(
            url="postgresql://ping_api:a%2Fb@h/d", owner_url="postgresql://ping_owner:c@h/d"
        )
    ) == {"ping_api": "a/b", "ping_owner": "c"}


def test_a_changed_password_is_the_only_one_that_opens(blank_database: Database) -> None:
    odd = "p:@/ ä'\"\\"
    superuser = at_database(blank_database.superuser_url, "postgres")
    try:
        run(bootstrap(superuser, blank_database.name, {"ping_reader": odd}))
        execute(as_login(blank_database.superuser_url, "ping_reader", odd), "SELECT 1")
        with pytest.raises(asyncpg.InvalidPasswordError):
            execute(blank_database.reader_url, "SELECT 1")
    finally:
        run(bootstrap(superuser, blank_database.name, dict.fromkeys(LOGINS, PASSWORD)))


def test_a_password_reaches_the_server_as_its_verifier_only() -> None:
    verifier = scram_verifier("secret")
    assert verifier.startswith("SCRAM-SHA-256$4096:")
    assert "secret" not in verifier
    assert scram_verifier("secret") != verifier


def test_a_role_that_was_given_too_much_is_corrected(blank_database: Database) -> None:
    execute(blank_database.superuser_url, "ALTER ROLE ping_reader BYPASSRLS CREATEDB")
    run(bootstrap(at_database(blank_database.superuser_url, "postgres"), blank_database.name, {}))

    async def work() -> bool:
        connection = await asyncpg.connect(blank_database.superuser_url)
        try:
            return await connection.fetchval(
                """SELECT rolbypassrls OR rolcreatedb FROM pg_roles
                WHERE rolname = 'ping_reader'"""
            )
        finally:
            await connection.close()

    assert run(work()) is False


def test_strangers_cannot_connect(blank_database: Database) -> None:
    execute(blank_database.superuser_url, "CREATE ROLE stranger LOGIN PASSWORD 'x'")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            execute(as_login(blank_database.superuser_url, "stranger", "x"), "SELECT 1")
    finally:
        execute(blank_database.superuser_url, "DROP ROLE stranger")
