"""Alembic's entry: migrations as the owner, then the objects again, all in one transaction."""

import asyncio
import random
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core import config
from migrations import scripts

VERSION_SCHEMA = "internal"
_LOCK_NUMBER = 7_306_801  # arbitrary, ours: two deployments must not migrate at once
_DEADLOCK = "40P01"
_ATTEMPTS = 5


def _url() -> str:
    given: str | None = context.config.attributes.get("url")
    url = given or config.require(config.load().database.owner_url, "database.owner_url")
    return "postgresql+asyncpg://" + url.partition("://")[2]


def _wants_objects() -> bool:
    """Say whether the command ends at the newest revision; `current` and the like have no end."""
    try:
        destination: Any = context.get_revision_argument()
    except KeyError:
        return False
    heads = context.script.get_heads()
    return context.get_context().get_current_heads() == tuple(heads) and destination in {
        "head",
        "heads",
        *heads,
    }


def _run(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
    # A migration that cannot get its locks at once fails, instead of queueing requests behind it.
    connection.execute(text("SET LOCAL lock_timeout = '2s'"))
    context.configure(connection=connection, version_table_schema=VERSION_SCHEMA)
    with context.begin_transaction():
        before = context.get_context().get_current_heads()
        context.run_migrations()
        if context.get_context().get_current_heads() != before:
            # A table that was made anew has lost its rights, policies and triggers.
            scripts.forget_objects(connection)
        if _wants_objects():
            scripts.apply_objects(connection)
            scripts.create_partitions(connection)


async def _main() -> None:
    engine = create_async_engine(_url(), poolclass=NullPool)
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_run)
            break
        except DBAPIError as error:
            # Requests take their locks in an order of their own; everything was rolled back.
            if getattr(error.orig, "sqlstate", None) != _DEADLOCK or not attempts_left:
                raise
            await asyncio.sleep(random.uniform(0, 0.5))  # noqa: S311  # jitter
    await engine.dispose()


if context.is_offline_mode():
    raise config.ConfigError("migrations need a database: offline mode is not supported")
asyncio.run(_main())
