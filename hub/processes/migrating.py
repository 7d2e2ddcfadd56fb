"""Moves a database between revisions, by Alembic in this very process."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import alembic.command
import alembic.config
import alembic.util.exc
import sqlalchemy.exc
from alembic.script import ScriptDirectory
from msgspec import Struct

import migrations
from core.errors import ConfigError
from migrations import releases
from migrations.state import State

LOCK_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0

Tell = Callable[[str], None]


class Step(Struct, frozen=True):
    """One migration."""

    revision: str
    title: str


def upgrade(
    owner_url: str,
    revision: str = "head",
    *,
    tell: Tell = lambda _line: None,
    patience_seconds: float = PATIENCE_SECONDS,
    lock_seconds: float = LOCK_SECONDS,
    reapply: bool = False,
) -> State:
    """Run migrations up to a revision, all of them or none, and return where that ended.

    `lock_seconds`: how long requests may be kept waiting behind a lock that is not to be had;
    `patience_seconds`: how long that is tried again. `reapply`: functions, policies and triggers
    too when they are as they were.
    """
    return _alembic(
        owner_url,
        lambda settings: alembic.command.upgrade(settings, revision),
        tell=tell,
        patience_seconds=patience_seconds,
        lock_seconds=lock_seconds,
        reapply=reapply,
    )


def downgrade(
    owner_url: str,
    revision: str = "base",
    *,
    tell: Tell = lambda _line: None,
    patience_seconds: float = PATIENCE_SECONDS,
    lock_seconds: float = LOCK_SECONDS,
) -> State:
    """Run migrations down to a revision, all of them or none, and return where that ended."""
    return _alembic(
        owner_url,
        lambda settings: alembic.command.downgrade(settings, revision),
        tell=tell,
        patience_seconds=patience_seconds,
        lock_seconds=lock_seconds,
    )


def read_state(owner_url: str) -> State:
    """Return where a database stands, without changing or locking anything."""
    return _alembic(owner_url, alembic.command.current)


def is_current(owner_url: str) -> bool:
    """Say whether every migration has been applied."""
    return read_state(owner_url).revision == newest_revision()


def newest_revision() -> str:
    """Return the revision that this code wants."""
    return _scripts().get_current_head() or ""


def steps_between(lower: str, upper: str) -> list[Step]:
    """Return the migrations above one revision up to another, in the order of going up.

    Raises ConfigError for a revision that does not exist, such as one of newer code.
    """
    try:
        found = _scripts().iterate_revisions(upper, lower or "base")
        return [Step(item.revision, item.doc) for item in found][::-1]
    except alembic.util.exc.CommandError as error:
        raise ConfigError(f"{error}: is the database newer than this code?") from None


def scripts_up_to(revision: str) -> list[str]:
    """Return the names of the migrations' files up to a revision, without their endings."""
    return [Path(item.path).stem for item in _scripts().iterate_revisions(revision, "base")]


def released_before(revision: str) -> str:
    """Return the revision of the newest release below one, or "" where nothing was released."""
    below = {step.revision for step in steps_between("", revision)} - {revision}
    found = [release.revision for release in releases.read_all() if release.revision in below]
    return found[-1] if found else ""


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> alembic.config.Config:
    settings = alembic.config.Config(stdout=io.StringIO())
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return settings


def _alembic(
    owner_url: str, run: Callable[[alembic.config.Config], None], **attributes: object
) -> State:
    found: list[State] = []
    settings = _config()
    settings.attributes.update(attributes, url=owner_url, report=found.append)
    try:
        run(settings)
    except OSError as error:
        raise ConfigError(f"PostgreSQL does not answer: {error}") from error
    except alembic.util.exc.CommandError as error:
        raise ConfigError(f"migration failed: {error}") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise ConfigError(f"migration failed: {error.orig}") from error
    return found[-1]
