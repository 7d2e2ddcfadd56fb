"""The audit log: reading it, and adding to it what changes nothing.

Changes are written by triggers; who reads sensitive data says so with `note_reading`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.audit import queries
from hub.domains.audit.schemas import (
    AuditEntry,
    AuditFilter,
    AuditReading,
    OwnAuditEntry,
    StoredEntry,
    StoredOwnEntry,
)
from hub.http import page

SEARCH_LISTING = "audit"
OWN_LISTING = "own_audit"
_Entry = TypeVar("_Entry", AuditEntry, OwnAuditEntry)


async def note_reading(
    tx: Tx,
    action: AuditReading,
    resource_type: str,
    resource_id: str,
    *,
    owner: UUID | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Let it be known that the actor reads sensitive data: in the transaction that reads it.

    `owner`: whose data it is, if it is one person's. `details`: what of it was asked for, never
    what stood there. Call it where somebody sees another's data, takes data out, or looks at what
    guards accounts.
    """
    kept = msgspec.json.encode(details) if details else None
    await queries.note_reading.run(tx, action, resource_type, resource_id, owner, kept)


async def search(
    tx: Tx, wanted: AuditFilter, *, limit: int, cursor: str | None
) -> page.Page[AuditEntry]:
    """Return entries, the latest first, for an administrator's transaction; itself an entry."""
    before = page.decode_cursor(cursor, SEARCH_LISTING, tuple[datetime, UUID])
    await note_reading(tx, "view", "audit_log", "search", details=msgspec.to_builtins(wanted))
    await queries.plan_for_these.run(tx)
    rows = await queries.search.all(
        tx, *msgspec.structs.astuple(wanted), *(before or (None, None)), limit + 1
    )
    entries = [_shown(row, AuditEntry) for row in rows]
    return page.paginate(entries, limit, SEARCH_LISTING, lambda entry: (entry.at, entry.id))


async def list_own(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[OwnAuditEntry]:
    """Return what the actor did and what others did with the actor's data, the latest first."""
    before = page.decode_cursor(cursor, OWN_LISTING, tuple[datetime, UUID])
    rows = await queries.list_own.all(tx, *(before or (None, None)), limit + 1)
    entries = [_shown(row, OwnAuditEntry) for row in rows]
    return page.paginate(entries, limit, OWN_LISTING, lambda entry: (entry.at, entry.id))


def _shown(row: StoredEntry | StoredOwnEntry, kind: type[_Entry]) -> _Entry:
    fields: dict[str, Any] = msgspec.structs.asdict(row)
    for name in ("old_values", "new_values"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(fields[name])
    return kind(**fields)
