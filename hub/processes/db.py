"""`pinghub db …`: roles and database, migrations, demo data, dump and restore."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from core import clock, config
from core.db.bootstrap import LOGINS, database_name
from core.db.bootstrap import bootstrap as bootstrap_database
from core.errors import ConfigError, DomainError
from hub.processes import db_check, dumping, migrating

app = App(
    name="db",
    help="The database: its roles and schema, demo data, dumps (docs/migrations.md).",
    help_format="markdown",
    group_commands=Group("Commands"),
    help_epilogue=(
        "In this order: `bootstrap` once, as the superuser; `up` with every new version, before its"
        " processes start; `seed` where there shall be demo people.\n\n"
        "Exit codes: 0 done, 1 refused or something was found, 2 a setting is missing or wrong, or"
        " PostgreSQL does not answer."
    ),
)
app.command(
    "hub.processes.seed:seed_database",
    name="seed",
    help="Put demo people, rings and a gateway into the database; again is harmless.",
)

AsJson = Annotated[bool, Parameter(name="--json", negative="")]
Seconds = Annotated[float, Parameter(validator=Number(gt=0))]
_URL_SETTINGS: Final = {
    "url": "ping_api",
    "worker_url": "ping_worker",
    "system_url": "ping_system",
    "owner_url": "ping_owner",
}
_Found = TypeVar("_Found")


class Moved(msgspec.Struct, frozen=True):
    """A way that a database has gone; revisions are null where there is no schema."""

    before: str | None
    after: str | None
    steps: list[migrating.Step]
    seconds: float


@app.command
def bootstrap() -> None:
    """Create roles, database and extension as the superuser; again is harmless.

    Logins get the passwords that the addresses in the settings carry.
    """
    settings = config.load().database
    superuser_url = config.require(settings.superuser_url, "database.superuser_url")
    work = bootstrap_database(superuser_url, database_name(_owner_url()), passwords(settings))
    _wait(work)


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub db up`  while the older processes go on; they wait for less than a second\n\n"
        "- `pinghub db up --json | jq -r .after`  the revision, for scripts\n\n"
        "- `pinghub db up --patience 600 --lock-timeout 2`  past a long vacuum, at a quiet hour"
    )
)
def up(
    *,
    patience: Seconds = migrating.PATIENCE_SECONDS,
    lock_timeout: Seconds = migrating.LOCK_SECONDS,
    reapply: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the newest schema, as its owner; all of it or nothing.

    Parameters
    ----------
    patience
        For how many seconds locks that are not to be had are tried again.
    lock_timeout
        For how many seconds requests may wait behind such a lock, each time.
    reapply
        Renew functions, policies and triggers though their text is the one applied.
    as_json
        Print revisions, steps and seconds as JSON.
    """
    owner_url = _owner_url()
    before = migrating.read_state(owner_url).revision
    steps = migrating.steps_between(before, migrating.newest_revision())
    started_at = clock.monotonic_seconds()
    after = migrating.upgrade(
        owner_url,
        tell=_tell,
        patience_seconds=patience,
        lock_seconds=lock_timeout,
        reapply=reapply,
    )
    _show_moved(before, after.revision, steps, started_at, as_json=as_json)


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub db down`  says what would be lost\n\n"
        "- `pinghub db down --yes`  to the release before; then start its processes\n\n"
        "- `pinghub db down --to 20261121061200 --yes`  to a revision of one's own, in development"
    )
)
def down(
    *,
    to: str = "",
    yes: Annotated[bool, Parameter(negative="")] = False,
    patience: Seconds = migrating.PATIENCE_SECONDS,
    lock_timeout: Seconds = migrating.LOCK_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Take the schema back to the release before, with its functions, policies and triggers.

    Tables and columns that came since are dropped with their data. Make a dump first.

    Parameters
    ----------
    to
        A revision, or `base` for an empty database. One that was never released is left without
        functions, policies and triggers until `up` runs: for development only.
    yes
        Do it. Without, the steps are named and nothing is done.
    patience
        For how many seconds locks that are not to be had are tried again.
    lock_timeout
        For how many seconds requests may wait behind such a lock, each time.
    as_json
        Print revisions, steps and seconds as JSON.
    """
    owner_url = _owner_url()
    before = migrating.read_state(owner_url).revision
    target = to or migrating.released_before(before)
    if not target:
        raise DomainError(
            "request.invalid", "Nothing was released before; name a revision by --to."
        )
    steps = migrating.steps_between("" if target == "base" else target, before)[::-1]
    if not steps:
        raise DomainError("request.invalid", f"The database is not above {target}.")
    if not yes:
        for step in steps:
            _tell(f"would undo {step.revision} {step.title}")
        raise DomainError(
            "request.invalid", "Data of these migrations will be lost. Repeat it with --yes."
        )
    started_at = clock.monotonic_seconds()
    after = migrating.downgrade(
        owner_url, target, tell=_tell, patience_seconds=patience, lock_seconds=lock_timeout
    )
    _show_moved(before, after.revision, steps, started_at, as_json=as_json)


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub db status`  revision, migrations to come, size\n\n"
        "- `pinghub db status --json | jq -e '.pending == []'`  whether processes may start"
    )
)
def status(*, as_json: AsJson = False) -> None:
    """Show where the database stands; nothing is changed or locked.

    Parameters
    ----------
    as_json
        Print it as JSON.
    """
    owner_url = _owner_url()
    state = migrating.read_state(owner_url)
    found = _wait(db_check.read_status(config.load().database, owner_url, state))
    if as_json:
        _print(msgspec.json.encode(found).decode())
        return
    _print(
        f"database   {found.database}, {found.size_bytes / 1e6:.1f} MB,"
        f" PostgreSQL {found.server_version}"
    )
    _print(f"revision   {found.revision or 'none'}{'' if found.pending else ', the newest'}")
    for step in found.pending:
        _print(f"to come    {step.revision} {step.title}")
    _print(f"objects    {'applied' if found.has_objects else 'of another version'}")
    for difference in found.changed_by_hand:
        _print(f"by hand    {difference}")
    open_to_all = ", ".join(found.tables_without_rls)
    rls = f"NOT PROTECTED: {open_to_all}" if open_to_all else "all under forced row-level security"
    _print(f"tables     {found.tables}, {rls}")


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub db check`  after a deployment, or each night; 1 when something is found\n\n"
        "- `pinghub db check --json | jq -r '.findings[] | .what + \": \" + .where'`"
    )
)
def check(*, as_json: AsJson = False) -> None:
    """Look for what should not be, and say what to do.

    Missing migrations, changes by hand, tables without forced row-level security, foreign keys
    without an index, invalid indexes, bloat, missing partitions.

    Parameters
    ----------
    as_json
        Print {"findings": [{"what": …, "where": …, "hint": …}]}.
    """
    owner_url = _owner_url()
    state = migrating.read_state(owner_url)
    findings = _wait(db_check.check(config.load().database, owner_url, state))
    if as_json:
        _print(msgspec.json.encode({"findings": findings}).decode())
    for finding in [] if as_json else findings:
        _print(f"{finding.what}: {finding.where}\n  {finding.hint}")
    if findings:
        sys.exit(1)
    if not as_json:
        _print("nothing is wrong")


@app.command
def dump(path: Path) -> None:
    """Write the whole database into a file, as its owner."""
    dumping.dump_to(_owner_url(), path)


@app.command
def restore(path: Path) -> None:
    """Read a dump into the empty database that `pinghub db bootstrap` has created."""
    dumping.restore_from(_owner_url(), path)


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


def _owner_url() -> str:
    return config.require(config.load().database.owner_url, "database.owner_url")


def _wait(work: Coroutine[Any, Any, _Found]) -> _Found:
    """Run database work of a command; here the reason matters more than the code."""
    try:
        return asyncio.run(work)
    except DomainError as error:
        raise ConfigError(f"PostgreSQL refuses: {error.__cause__ or error}") from error


def _show_moved(
    before: str, after: str, steps: list[migrating.Step], started_at: float, *, as_json: bool
) -> None:
    seconds = round(clock.monotonic_seconds() - started_at, 3)
    if as_json:
        moved = Moved(before or None, after or None, steps, seconds)
        _print(msgspec.json.encode(moved).decode())
    else:
        way = f"{before or 'nothing'} → {after or 'nothing'}"
        _tell(f"{way}, {len(steps)} migrations, {seconds:.1f} s")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # a command's progress


def _print(text: str) -> None:
    print(text)  # noqa: T201  # a command's output
