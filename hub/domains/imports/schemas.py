"""Imports as the REST interface shows them, and as the worker keeps them."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Raw, Struct

from hub.domains.imports.formats.found import Format, RemarkCode, RowProblem

UPLOAD_MAX_BYTES: Final = 268_435_456
FILE_MAX_BYTES: Final = 16_777_216
"""Of what is kept of a file: some 50,000 cards without pictures, or heads of mail."""

ImportStatus = Literal[
    "uploaded", "ready", "running", "completed", "failed", "cancelled", "undoing", "undone"
]
RowKind = Literal["contact", "interaction"]
RowStatus = Literal["pending", "created", "known", "skipped", "failed", "undone", "kept"]


class Import(Struct, frozen=True):
    """A file that is brought in, how far that is, and what has become of its entries.

    uploaded → running → completed; a dry run is uploaded → ready, and waits to be started. What
    was brought in may be taken back: undoing → undone.
    """

    id: UUID
    format: Format
    file_name: str | None
    file_bytes: int
    dry_run: bool
    status: ImportStatus
    error: str | None
    """A code of docs/errors.md."""
    encoding: str | None
    remarks: list[RemarkCode]
    ignored_columns: list[str]
    items_total: int | None
    items_processed: int
    items_created: int
    """Of a dry run: what would be."""
    items_known: int
    items_skipped: int
    items_failed: int
    items_undone: int
    items_kept: int
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ImportRow(Struct, frozen=True):
    """What became of an entry; `problems` names what was left out, or why all of it was."""

    position: int
    kind: RowKind | None
    status: RowStatus
    title: str | None
    """Whom, or what, a `pending` entry would bring in; of others nothing is kept."""
    problems: list[RowProblem]
    contact_id: UUID | None
    interaction_id: UUID | None


class StoredRow(Struct, frozen=True):
    """A row as the database has it."""

    id: UUID
    position: int
    kind: RowKind | None
    status: RowStatus
    payload: bytes | None
    problems: Raw
    contact_id: UUID | None
    interaction_id: UUID | None


class Job(Struct, frozen=True):
    """What moves a job on needs to know of it."""

    id: UUID
    user_id: UUID
    format: Format
    mapping: Raw
    dry_run: bool
    status: ImportStatus
    items_total: int | None
    items_processed: int
    items_undone: int
    items_kept: int


class Seen(Struct, frozen=True):
    """A job as operators see it: nothing of the file but what kind it is."""

    id: UUID
    user_id: UUID
    format: Format
    status: ImportStatus
    error: str | None
    items_total: int | None
    items_processed: int
    created_at: datetime
    updated_at: datetime


class Chunk(Struct, frozen=True):
    """A piece of a file."""

    id: UUID
    content: bytes


class PendingRow(Struct, frozen=True):
    """An entry that waits to be brought in."""

    id: UUID
    kind: RowKind
    payload: bytes
    problems: Raw


class MadeRow(Struct, frozen=True):
    """A row that an import made something by; `is_changed`: somebody has changed it since."""

    id: UUID
    kind: RowKind
    contact_id: UUID | None
    interaction_id: UUID | None
    is_changed: bool
