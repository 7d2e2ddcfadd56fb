"""Alembic's entry: migrations as the owner, then the objects again, all in one transaction."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from core import clock, config
from core.db import is_pooled
from migrations import fingerprint, locks, releases, scripts, state

VERSION_SCHEMA = "internal"
_LOCK_NUMBER = 7_306_801  # arbitrary, ours: two deployments must not migrate at once
_CANNOT_REPLACE = "42P13"
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


def _ignore(_: object) -> None:
    """Alembic's own command is told nothing."""


_attributes = context.config.attributes
# What `pinghub db up` and `down` may say, and Alembic's own command leaves out.
_lock_seconds: float = _attributes.get("lock_seconds", 0.2)
_patience_seconds: float = _attributes.get("patience_seconds", 60.0)
_reapply: bool = _attributes.get("reapply", False)
_tell: Callable[[str], None] = _attributes.get("tell", _ignore)
_contended: list[str] = []
_report: Callable[[state.State], None] = _attributes.get("report", _ignore)


def _url() -> str:
    given: str | None = _attributes.get("url")
    url = given or config.require(config.load().database.owner_url, "database.owner_url")
    if is_pooled(url):
        raise config.ConfigError("database.owner_url leads through a pooler: migrations need none")
    return "postgresql+asyncpg://" + url.partition("://")[2]


def _changes() -> bool:
    """Say whether the command moves the schema; `current` and the like do not."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _run(connection: Connection, *, anew: bool) -> None:
    changes = _changes()
    if changes:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
    context.configure(
        connection=connection,
        version_table_schema=VERSION_SCHEMA,
        on_version_apply=_say_step,
    )
    with context.begin_transaction():
        heads = context.get_context().get_current_heads()
        before = state.read(connection, heads)
        _report(before)
        if not changes or (before.has_objects and _ends_at(heads) and not _reapply):
            context.run_migrations()
            if changes:
                scripts.create_partitions(connection)
            return
        locks.take(connection, _lock_seconds, _contended)
        for difference in before.changed_by_hand:
            _tell(f"changed by hand since the last migration: {difference}")
        context.run_migrations()
        _finish(connection, anew=anew)
        _report(state.read(connection, context.get_context().get_current_heads()))


def _ends_at(heads: tuple[str, ...]) -> bool:
    """Say whether the command goes to the newest revision and the database is there."""
    newest = context.script.get_heads()
    destination: Any = context.get_revision_argument()
    return heads == tuple(newest) and destination in {"head", "heads", *newest}


def _finish(connection: Connection, *, anew: bool) -> None:
    """Apply the objects that belong to the revision where the migrations ended."""
    heads = context.get_context().get_current_heads()
    objects = scripts.newest_objects()
    if heads != tuple(context.script.get_heads()):
        release = releases.newest_at(heads[0]) if heads else None
        if release is None:
            # They name columns of the newest schema; a later `up` applies them.
            scripts.forget_objects(connection)
            fingerprint.forget(connection)
            if heads:
                _tell(f"{heads[0]} was never released: it has no functions, policies and triggers")
            return
        objects = release.objects
    _tell("functions, policies and triggers")
    scripts.apply_objects(connection, objects, anew=anew)
    scripts.create_partitions(connection)
    fingerprint.keep(connection)


def _say_step(ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:
    del ctx, heads, run_args  # Alembic gives them by these names
    script = context.script.get_revision(step.up_revision_id or "")
    _tell(f"{'up' if step.is_upgrade else 'down'} {script.revision} {script.doc}")


async def _attempt(engine: AsyncEngine, *, anew: bool) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda inner: _run(inner, anew=anew))


async def _attempts(engine: AsyncEngine) -> None:
    """Try until the locks are free for a moment; whatever fails is rolled back as a whole."""
    ends_at = clock.monotonic_seconds() + _patience_seconds
    pause_seconds = _FIRST_PAUSE_SECONDS
    anew = False
    while True:
        try:
            await _attempt(engine, anew=anew)
        except DBAPIError as error:
            code = getattr(error.orig, "sqlstate", None)
            if code == _CANNOT_REPLACE and not anew:
                anew = True
                continue
            if code not in locks.BLOCKED_CODES:
                raise
            async with engine.connect() as connection:
                holders = await connection.run_sync(locks.holders)
            _tell(f"waiting for locks; held by {holders or 'nobody any more'}")
            if clock.monotonic_seconds() + pause_seconds > ends_at:
                raise
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause_seconds = min(_LONGEST_PAUSE_SECONDS, pause_seconds * 2)
        else:
            return


async def _main() -> None:
    engine = create_async_engine(_url(), poolclass=NullPool)
    try:
        await _attempts(engine)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    raise config.ConfigError("migrations need a database: offline mode is not supported")
asyncio.run(_main())
