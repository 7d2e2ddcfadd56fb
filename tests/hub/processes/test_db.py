"""`pinghub db …` and Alembic's own command, as a person runs them."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from core import config
from core.db.bootstrap import LOGINS, as_login, at_database, bootstrap, scram_verifier
from core.errors import ConfigError
from hub.processes import db
from tests.fixtures.postgres import PASSWORD, Database, execute, run

ROOT = Path(db.__file__).parents[2]


def command(database: Database, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **kept,
            "PINGHUB_HOME": "/nonexistent",
            "DATABASE_OWNER_URL": database.owner_url,
            "DATABASE_SUPERUSER_URL": database.superuser_url,
            "DATABASE_URL": database.api_url,
            **extra,
        },
    )


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
def test_alembic_works_as_it_is(blank_database: Database) -> None:
    done = command(blank_database, "alembic", "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert tables(blank_database) > 10
    assert "(head)" in command(blank_database, "alembic", "current").stdout
    assert command(blank_database, "alembic", "downgrade", "base").returncode == 0
    assert tables(blank_database) == 0


def test_bootstrap_and_migrate_may_run_again(blank_database: Database) -> None:
    for _ in range(2):
        assert command(blank_database, "hub.cli", "db", "bootstrap").returncode == 0
        done = command(blank_database, "hub.cli", "db", "migrate")
        assert (done.returncode, done.stderr) == (0, "")
    assert tables(blank_database) > 10


def test_a_dump_can_be_restored_by_the_same_commands(
    database: Database, blank_database: Database, tmp_path: Path
) -> None:
    execute(database.system_url, "INSERT INTO users (full_name) VALUES ('Ada')")
    path = str(tmp_path / "dump")
    assert command(database, "hub.cli", "db", "dump", path).returncode == 0
    done = command(blank_database, "hub.cli", "db", "restore", path)
    assert (done.returncode, done.stderr) == (0, "")
    again = command(blank_database, "hub.cli", "db", "restore", path)
    assert again.returncode != 0
    assert "is not empty" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_server_that_is_away_is_one_line(database: Database) -> None:
    away = "postgresql://ping_owner:x@127.0.0.1:1/pinghub"
    for name in ("migrate", "bootstrap"):
        done = command(
            database, "hub.cli", "db", name, DATABASE_OWNER_URL=away, DATABASE_SUPERUSER_URL=away
        )
        assert done.returncode != 0
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_a_wrong_password_is_one_line(database: Database) -> None:
    wrong = database.owner_url.replace(PASSWORD, "wrong")
    for name in ("migrate", "bootstrap"):
        done = command(
            database, "hub.cli", "db", name, DATABASE_OWNER_URL=wrong, DATABASE_SUPERUSER_URL=wrong
        )
        assert done.returncode != 0
        assert "password authentication failed" in done.stderr
        assert done.stderr.count("\n") == 1


def test_without_an_address_the_setting_is_named(database: Database) -> None:
    done = command(database, "hub.cli", "db", "migrate", DATABASE_OWNER_URL="")
    assert done.returncode == 2
    assert "DATABASE_OWNER_URL" in done.stderr


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
        db.passwords(config.Database(url=url))


def test_passwords_are_taken_from_the_addresses() -> None:
    assert db.passwords(
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
