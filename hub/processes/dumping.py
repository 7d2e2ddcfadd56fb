"""Dumps and restores by PostgreSQL's own programs."""

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.db import Conflict
from core.db.bootstrap import database_name, forget_objects, prepare_restore
from core.errors import ConfigError, DomainError
from hub.embedded import postgres
from hub.processes.migrating import upgrade


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
        asyncio.run(prepare_restore(owner_url))
    except Conflict:
        raise ConfigError(
            f"the database {database_name(owner_url)} is not empty: restore into a new one,"
            " made by `pinghub db bootstrap`"
        ) from None
    except DomainError as error:
        raise ConfigError(f"PostgreSQL refuses: {error.__cause__ or error}") from error
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
    asyncio.run(forget_objects(owner_url))
    upgrade(owner_url)


def run_program(owner_url: str, program: str, *arguments: str, connects: bool = True) -> str:
    """Return what a program of PostgreSQL prints, or raise ConfigError with its first line."""
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
