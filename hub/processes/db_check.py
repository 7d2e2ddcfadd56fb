"""What `pinghub db check` and `status` find out about a database, as its owner."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct

from core.actor import SYSTEM
from core.config import Database
from core.db import Pool, Tx, begin
from hub.processes import migrating, queries
from migrations.state import State

# Autovacuum comes at a fifth; more has a reason.
_DEAD_SHARE_MAX: Final = 0.4
_DEAD_ROWS_MIN: Final = 50_000


class Status(Struct, frozen=True, kw_only=True):
    """Where a database stands; `revision` is null before the first migration."""

    database: str
    server_version: str
    size_bytes: int
    revision: str | None
    newest: str
    pending: list[migrating.Step]
    has_objects: bool
    changed_by_hand: list[str]
    tables: int
    tables_without_rls: list[str]


class Finding(Struct, frozen=True):
    """Something that is not as it should be, and what to do."""

    what: str
    where: str
    hint: str


async def read_status(settings: Database, owner_url: str, state: State) -> Status:
    """Return the status of a database whose state was read before."""
    newest = migrating.newest_revision()
    async with _reading(settings, owner_url) as tx:
        figures = await queries.DATABASE_FIGURES.one(tx)
        return Status(
            database=figures.name,
            server_version=figures.version,
            size_bytes=figures.size_bytes,
            revision=state.revision or None,
            newest=newest,
            pending=migrating.steps_between(state.revision, newest),
            has_objects=state.has_objects,
            changed_by_hand=state.changed_by_hand,
            tables=figures.tables,
            tables_without_rls=await queries.TABLES_WITHOUT_RLS.all(tx),
        )


async def check(settings: Database, owner_url: str, state: State) -> list[Finding]:
    """Return what is wrong; of a schema that is behind only that, as it explains the rest."""
    pending = migrating.steps_between(state.revision, migrating.newest_revision())
    up = "run `pinghub db up`"
    if pending:
        return [
            Finding("migration is missing", f"{step.revision} {step.title}", up) for step in pending
        ]
    found = [
        Finding(
            "changed by hand",
            difference,
            "undo it, or write a migration; `up --reapply` renews functions, policies and triggers",
        )
        for difference in state.changed_by_hand
    ]
    if not state.has_objects:
        found.append(Finding("other functions, policies or triggers", "schema app", up))
    async with _reading(settings, owner_url) as tx:
        return found + await _of_tables(tx) + await _of_partitions(tx)


async def _of_tables(tx: Tx) -> list[Finding]:
    bloated = await queries.BLOATED_TABLES.all(tx, _DEAD_ROWS_MIN, _DEAD_SHARE_MAX)
    return [
        *(
            Finding("without forced row-level security", table, "run `pinghub db up --reapply`")
            for table in await queries.TABLES_WITHOUT_RLS.all(tx)
        ),
        *(
            Finding("foreign key without an index", key, "add the index in a migration")
            for key in await queries.FOREIGN_KEYS_WITHOUT_INDEX.all(tx)
        ),
        *(
            Finding("invalid index", index, f"REINDEX INDEX CONCURRENTLY {index}")
            for index in await queries.INVALID_INDEXES.all(tx)
        ),
        *(
            Finding(
                "bloated",
                f"{table.table}: {table.dead_rows} dead rows beside {table.live_rows}",
                f"look what keeps a transaction open, then VACUUM {table.table}",
            )
            for table in bloated
        ),
    ]


async def _of_partitions(tx: Tx) -> list[Finding]:
    stray = await queries.STRAY_ROWS.one(tx)
    create = "run `pinghub db up`; and look whether scheduler and worker run"
    return [
        *(
            Finding("partition is missing", name, create)
            for name in await queries.PARTITIONS_MISSING.all(tx)
        ),
        *(
            Finding("rows outside of all months", f"{count} in {name}_default", create)
            for name, count in (("events", stray.events), ("audit_log", stray.audit_log))
            if count
        ),
    ]


@asynccontextmanager
async def _reading(settings: Database, owner_url: str) -> AsyncGenerator[Tx]:
    pool = await Pool.configured(settings, owner_url, max_size=1)
    try:
        async with begin(pool, SYSTEM, read_only=True) as tx:
            yield tx
    finally:
        await pool.close()
