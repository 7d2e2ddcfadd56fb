"""Imports: handed in by people, brought in batch by batch by workers, and taken back.

Each batch is one transaction that also moves the job on, and that is the event which the next
batch waits for: whatever is killed, a batch happened or did not.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core import clock, ids
from core.db import Query, Tx
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import NewContact
from hub.domains.contacts.service import Keys
from hub.domains.import_matching import service as matching
from hub.domains.import_matching.service import Book, Outcome
from hub.domains.import_reading import service as reading
from hub.domains.import_receiving.service import Upload
from hub.domains.imports import queries
from hub.domains.imports.formats.found import FoundInteraction, RowProblem
from hub.domains.imports.schemas import (
    Import,
    ImportRow,
    ImportStatus,
    Job,
    RowStatus,
    Seen,
    StoredRow,
)
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import InteractionSource, NewInteraction, NewParticipant
from hub.http import page

IMPORTS_LISTING: Final = "imports"
ROWS_LISTING: Final = "import_rows"
OPEN_MAX: Final = 5
_CHUNK_BYTES: Final = 262_144
# About a second of work, far below what a worker's call may take (RECLAIM_AFTER_SECONDS).
BATCH: Final = 250
_PURGE_MAX: Final = 100
_SOURCES: Final[Mapping[str, InteractionSource]] = {
    "calendar": "calendar",
    "mail": "email",
    "calls_xml": "phone",
}


class NewImport(Struct, frozen=True, kw_only=True):
    """A file as it is handed in."""

    upload: Upload
    file_name: str | None = None
    dry_run: bool = False
    mapping: Mapping[str, str] = {}


async def begin_import(tx: Tx, keys: Keys, new: NewImport) -> Import:
    """Take a file, to be read by a worker. Raises import.busy."""
    file = new.upload
    # Of two at once the second sees the first.
    await queries.lock_own.first(tx)
    if await queries.count_open.one(tx) >= OPEN_MAX:
        raise DomainError("import.busy")
    import_id = ids.new_id()
    await queries.insert_job.run(
        tx,
        import_id,
        file.format,
        new.file_name,
        file.file_bytes,
        msgspec.json.encode(new.mapping),
        new.dry_run,
    )
    parts = [file.data[at : at + _CHUNK_BYTES] for at in range(0, len(file.data), _CHUNK_BYTES)]
    chunk_ids = [ids.new_id() for _ in parts]
    sealed = [
        keys.cipher.seal(part, column=reading.CONTENT_COLUMN, row=chunk_id.bytes)
        for chunk_id, part in zip(chunk_ids, parts, strict=True)
    ]
    await queries.insert_chunks.run(tx, import_id, chunk_ids, sealed)
    return await get_import(tx, import_id)


async def get_import(tx: Tx, import_id: UUID) -> Import:
    """Return one of the actor's imports, or raise import.not_found."""
    found = await queries.find_own.first(tx, import_id)
    if found is None:
        raise DomainError("import.not_found")
    return found


async def list_imports(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Import]:
    """Return the actor's imports, the latest first."""
    before = page.decode_cursor(cursor, IMPORTS_LISTING, tuple[UUID])
    rows = await queries.list_own.all(tx, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, IMPORTS_LISTING, lambda item: (item.id,))


async def list_rows(
    tx: Tx,
    keys: Keys,
    import_id: UUID,
    *,
    status: RowStatus | None,
    with_problems: bool,
    limit: int,
    cursor: str | None,
) -> page.Page[ImportRow]:
    """Return what became of the entries of a file, in their order there."""
    await get_import(tx, import_id)
    after = page.decode_cursor(cursor, ROWS_LISTING, tuple[int])
    rows = await queries.list_rows.all(
        tx, import_id, status, with_problems, after[0] if after else 0, limit + 1
    )
    return page.paginate(
        [_shown(tx, keys, row) for row in rows], limit, ROWS_LISTING, lambda item: (item.position,)
    )


async def start(tx: Tx, import_id: UUID) -> Import:
    """Bring in what a dry run has found; again is harmless. Raises import.state_invalid."""
    return await _moved(tx, import_id, queries.start, {"running", "completed"})


async def cancel(tx: Tx, import_id: UUID) -> Import:
    """Stop an import; what it has brought in stays. Raises import.state_invalid."""
    return await _moved(tx, import_id, queries.cancel, {"cancelled"})


async def undo(tx: Tx, import_id: UUID) -> Import:
    """Take back what an import has made and nobody has changed since.

    Raises import.state_invalid while it is under way.
    """
    return await _moved(tx, import_id, queries.undo, {"undoing", "undone"})


async def _moved(
    tx: Tx, import_id: UUID, step: Query[UUID], there: Container[ImportStatus]
) -> Import:
    """Take a step that an import's status allows; one that is `there` already has taken it."""
    is_new = await step.first(tx, import_id) is not None
    found = await get_import(tx, import_id)
    if not is_new and found.status not in there:
        raise DomainError("import.state_invalid")
    return found


async def bring_in(tx: Tx, keys: Keys, job: Job) -> None:
    """Bring in the next batch of a running job, whose row is locked. Needs a system transaction."""
    await matching.lock_book(tx, job.user_id)
    waiting = await queries.take_batch.all(tx, job.user_id, job.id, BATCH)
    region = await contacts.region_of(tx, job.user_id)
    entries = [reading.open_payload(keys, row.id, row.kind, row.payload) for row in waiting]
    book = Book(job.user_id, keys, region, set())
    outcomes = await matching.outcomes(tx, book, entries, clock.now())
    made = await _make(tx, book, job, outcomes)
    problems = [
        reading.problems_text(
            [*msgspec.json.decode(row.problems, type=list[RowProblem]), *outcome.problems]
        )
        for row, outcome in zip(waiting, outcomes, strict=True)
    ]
    await queries.finish_rows.run(
        tx,
        job.user_id,
        [row.id for row in waiting],
        [status for status, _, _ in made],
        [contact_id for _, contact_id, _ in made],
        [interaction_id for _, _, interaction_id in made],
        problems,
    )
    counts = Counter(status for status, _, _ in made)
    await queries.advance.run(
        tx,
        job.id,
        len(waiting),
        counts["created"],
        counts["known"],
        counts["skipped"],
        len(waiting) < BATCH,
    )


async def take_back(tx: Tx, job: Job) -> None:
    """Take back the next batch of what a job has made. Needs a system transaction."""
    made = await queries.take_made.all(tx, job.user_id, job.id, BATCH)
    gone = [row for row in made if not row.is_changed]
    kept = [row for row in made if row.is_changed]
    await queries.set_status.run(tx, job.user_id, [row.id for row in gone], "undone")
    await queries.set_status.run(tx, job.user_id, [row.id for row in kept], "kept")
    talks = [row.interaction_id for row in gone if row.interaction_id is not None]
    if talks:
        await queries.delete_interactions.run(tx, job.user_id, talks)
    people = [
        row.contact_id for row in gone if row.kind == "contact" and row.contact_id is not None
    ]
    if people:
        await contacts.delete_contacts(tx, people, owner_id=job.user_id)
    is_done = len(made) < BATCH
    if is_done:
        # It may have been stopped just before, and nobody have done that yet.
        await forget_file(tx, job)
    await queries.take_back.run(tx, job.id, len(gone), len(kept), is_done)


async def forget_file(tx: Tx, job: Job) -> None:
    """Forget what of a file has not been brought in. Needs a system transaction."""
    await reading.forget_chunks(tx, job)
    forgotten = await queries.forget_payloads.run(tx, job.user_id, job.id)
    if forgotten:
        await queries.count_skipped.run(tx, job.id, forgotten)


async def list_seen(tx: Tx, *, failed: bool, limit: int) -> list[Seen]:
    """Return what is under way for anybody, or what failed; a system transaction."""
    return await queries.list_seen.all(tx, failed, limit)


async def purge(tx: Tx) -> bool:
    """Give up what nobody moves on any more; return whether more is left. For ping_system."""
    return len(await queries.purge.all(tx, _PURGE_MAX)) == _PURGE_MAX


async def _make(
    tx: Tx, book: Book, job: Job, outcomes: Sequence[Outcome]
) -> list[tuple[RowStatus, UUID | None, UUID | None]]:
    """Make what is new; return what has become of each entry, and the ids of it."""
    new_people = [
        item.found
        for item in outcomes
        if item.status == "new" and isinstance(item.found, NewContact)
    ]
    people = iter(
        await contacts.add_contacts(
            tx, book.keys, new_people, owner_id=book.owner_id, region=book.region
        )
    )
    new_talks = [
        _interaction(book, job, item.found)
        for item in outcomes
        if item.status == "new" and isinstance(item.found, FoundInteraction)
    ]
    talks = iter(
        await interactions.record_many(
            tx, new_talks, owner_id=book.owner_id, keys=book.keys, region=book.region
        )
    )
    made: list[tuple[RowStatus, UUID | None, UUID | None]] = []
    for item in outcomes:
        if item.status != "new":
            made.append((item.status, item.contact_id, item.interaction_id))
        elif isinstance(item.found, NewContact):
            made.append(("created", next(people), None))
        else:
            told = next(talks)
            made.append(("known" if told is None else "created", item.contact_id, told))
    return made


def _interaction(book: Book, job: Job, found: FoundInteraction) -> NewInteraction:
    index = matching.content_index(book.keys, book.owner_id, found)
    return NewInteraction(
        kind=found.kind,
        occurred_at=found.occurred_at,
        source=_SOURCES[job.format],
        external_id=f"import:{index.hex()}",
        direction=found.direction,
        subject=found.subject,
        duration_seconds=found.duration_seconds,
        participants=[
            NewParticipant(role=who.role, address_kind=who.kind, address=who.address)
            for who in found.participants
        ],
    )


def _shown(tx: Tx, keys: Keys, row: StoredRow) -> ImportRow:
    return ImportRow(
        position=row.position,
        kind=row.kind,
        status=row.status,
        title=_title(tx, keys, row),
        problems=msgspec.json.decode(row.problems, type=list[RowProblem]),
        contact_id=row.contact_id,
        interaction_id=row.interaction_id,
    )


def _title(tx: Tx, keys: Keys, row: StoredRow) -> str | None:
    if row.kind is None or row.payload is None:
        return None
    found = reading.open_payload(keys, row.id, row.kind, row.payload)
    if isinstance(found, NewContact):
        return found.full_name
    # What talks were about, keys read by another scope.
    return None if tx.actor.kind == "api_key" else found.subject
