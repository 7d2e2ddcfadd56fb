"""Payloads of the events of imports; the columns that the database's triggers emit."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from hub.domains.imports.formats.found import Format
from hub.domains.imports.schemas import ImportStatus


class ImportProgressed(Struct, frozen=True, kw_only=True, tag="import.progressed"):
    """An import came a step further: a file was handed in or read, a batch is done."""

    import_id: UUID
    format: Format
    dry_run: bool
    status: ImportStatus
    items_total: int | None
    items_processed: int
    items_created: int
    items_known: int
    items_skipped: int
    items_failed: int
    items_undone: int
    items_kept: int
    error: str | None


MOVED_ON: Final[frozenset[ImportStatus]] = frozenset(
    {"uploaded", "running", "undoing", "cancelled", "failed"}
)
"""After a step to one of these there is something left to do."""
