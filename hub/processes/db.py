"""`pinghub db …`: roles and database, migrations, dump and restore."""

import asyncio
import io
import os
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import alembic.command
import alembic.config
import alembic.util.exc
import sqlalchemy.exc
from cyclopts import App, Group

import migrations
from core import config
from core.db import Conflict
from core.db.bootstrap import LOGINS, forget_objects, prepare_restore
from core.db.bootstrap import bootstrap as bootstrap_database
from core.errors import ConfigError, DomainError
from hub.embedded import postgres

app = App(
    name="db",
    help="Bootstrap and migrate the database; dump and restore it.",
    group_commands=Group("Commands"),
)

_URL_SETTINGS: Final = {
    "url": "ping_api",
    "worker_url": "ping_worker",
    "system_url": "ping_system",
    "owner_url": "ping_owner",
}


@app.command
def bootstrap() -> None:
    """Create roles, database and extension as the superuser; again is harmless.

    Logins get the passwords that the addresses in the settings carry.
    """
    settings = config.load().database
    superuser_url = config.require(settings.superuser_url, "database.superuser_url")
    owner_url = config.require(settings.owner_url, "database.owner_url")
    _wait(bootstrap_database(superuser_url, database_name(owner_url), passwords(settings)))


@app.command
def migrate() -> None:
    """Bring the database to the newest schema as its owner."""
    upgrade(config.require(config.load().database.owner_url, "database.owner_url"))


@app.command
def dump(path: Path) -> None:
    """Write the whole database into a file, as its owner."""
    owner_url = config.require(config.load().database.owner_url, "database.owner_url")
    dump_to(owner_url, path)


@app.command
def restore(path: Path) -> None:
    """Read a dump into the empty database that `pinghub db bootstrap` has created."""
    owner_url = config.require(config.load().database.owner_url, "database.owner_url")
    restore_from(owner_url, path)


def passwords(settings: config.Database) -> dict[str, str]:
    """Return the passwords in the addresses by login; policies name logins, so they are fixed."""
    found: dict[str, str] = {}
    for setting, login in _URL_SETTINGS.items():
        url: str = getattr(settings, setting)
        if not url:
            continue
        parts = urlsplit(url)
        if unquote(parts.username or "") != login or not parts.password:
            raise ConfigError(
                f"database.{setting} must name the login {login} and its password, one of"
                f" {', '.join(LOGINS)}: postgresql://{login}:…@host/database"
            )
        found[login] = unquote(parts.password)
    return found


def database_name(url: str) -> str:
    """Return the database that an address names."""
    return urlsplit(url).path.removeprefix("/")


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Run migrations up to a revision; all of them or none."""
    _alembic(owner_url, lambda settings: alembic.command.upgrade(settings, revision))


def downgrade(owner_url: str, revision: str = "base") -> None:
    """Run migrations down to a revision."""
    _alembic(owner_url, lambda settings: alembic.command.downgrade(settings, revision))


def dump_to(owner_url: str, path: Path) -> None:
    """Write a dump in PostgreSQL's custom format, readable by its owner only."""
    path.touch(mode=0o600)
    run_program(
        owner_url,
        "pg_dump",
        # Policies let the owner see every row; without this pg_dump refuses tables with FORCE.
        *("--enable-row-security", "--format=custom", f"--file={path}"),
        # Created by bootstrap, as a superuser.
        "--exclude-extension=*",
    )


def restore_from(owner_url: str, path: Path) -> None:
    """Restore a dump and bring it to the newest schema."""
    try:
        _wait(prepare_restore(owner_url))
    except Conflict:
        raise ConfigError(
            f"the database {database_name(owner_url)} is not empty: restore into a new one,"
            " made by `pinghub db bootstrap`"
        ) from None
    listing = run_program(owner_url, "pg_restore", "--list", str(path), connects=False)
    # `prepare_restore` made the schema: its rights are needed before the dump would grant them.
    wanted = [line for line in listing.splitlines() if " SCHEMA - app " not in line]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write("\n".join(wanted))
        contents.flush()
        run_program(
            owner_url,
            "pg_restore",
            *("--enable-row-security", "--single-transaction", "--exit-on-error"),
            *(f"--use-list={contents.name}", f"--dbname={database_name(owner_url)}", str(path)),
        )
    # The owner cannot restore rights on the functions of ping_definer: they are applied anew.
    _wait(forget_objects(owner_url))
    upgrade(owner_url)


def is_current(owner_url: str) -> bool:
    """Say whether every migration has been applied."""
    try:
        _alembic(owner_url, lambda settings: alembic.command.current(settings, check_heads=True))
    except alembic.util.exc.DatabaseNotAtHead:
        return False
    return True


def _wait(work: Coroutine[Any, Any, None]) -> None:
    """Run database work of a command; here the reason matters more than the code."""
    try:
        asyncio.run(work)
    except DomainError as error:
        raise ConfigError(f"PostgreSQL refuses: {error.__cause__ or error}") from error


def _alembic(owner_url: str, run: Callable[[alembic.config.Config], None]) -> None:
    settings = alembic.config.Config(stdout=io.StringIO())
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    settings.attributes["url"] = owner_url
    try:
        run(settings)
    except OSError as error:
        raise ConfigError(f"PostgreSQL does not answer: {error}") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise ConfigError(f"migration failed: {error.orig}") from error


def run_program(owner_url: str, program: str, *arguments: str, connects: bool = True) -> str:
    parts = urlsplit(owner_url)
    # By environment: the command line of a process is seen by everybody.
    environment = {
        **os.environ,
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database_name(owner_url),
    }
    done = subprocess.run(  # noqa: S603  # a program of the wheel
        [str(postgres.binary(program)), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment if connects else None,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ConfigError(f"{program} failed: {lines[0]}")
    return done.stdout
