"""What a worker does with a file: open it, read it in a thread, and say what would come of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core import clock, ids, log
from core.actor import SYSTEM
from core.db import Pool, Tx, begin
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import NewContact
from hub.domains.contacts.service import Keys
from hub.domains.import_matching import service as matching
from hub.domains.import_matching.service import Book
from hub.domains.import_reading import queries, rules
from hub.domains.imports.formats.found import Entry, FoundInteraction, Options, Reading, RowProblem
from hub.domains.imports.formats.readers import READERS
from hub.domains.imports.schemas import Job, RowKind, RowStatus

ENTRIES_MAX: Final = 50_000
READING_MAX: Final = 2
"""Files that a worker reads at once: each takes up to some 300 MB, and half a minute of a core."""
_under_way: Final[set[UUID]] = set()
CONTENT_COLUMN: Final = "import_chunks.content"
PAYLOAD_COLUMN: Final = "import_rows.payload"
# Of an INSERT, and of a look into the address book.
_SLICE: Final = 500
_COLUMNS_SHOWN: Final = 100

_log = log.get("imports")


class Row(Struct, kw_only=True):
    """An entry on its way into import_rows."""

    position: int
    kind: RowKind | None
    status: RowStatus
    problems: Sequence[RowProblem]
    found: NewContact | FoundInteraction | None = None


async def read(pool: Pool, keys: Keys, import_id: UUID) -> None:
    """Read the file of a job and write its entries down; again is harmless.

    Not within a transaction: reading takes its time, and nobody waits for a lock meanwhile. Raises
    service.unavailable while this process reads it, or enough others, already: whoever waits for
    that holds neither a file in memory nor one of the worker's calls.
    """
    if import_id in _under_way or len(_under_way) >= READING_MAX:
        raise DomainError("service.unavailable")
    _under_way.add(import_id)
    try:
        await _read(pool, keys, import_id)
    finally:
        _under_way.discard(import_id)


async def _read(pool: Pool, keys: Keys, import_id: UUID) -> None:
    async with begin(pool, SYSTEM, read_only=True) as tx:
        job = await queries.find_job.first(tx, import_id)
        if job is None or job.status != "uploaded":
            return
        chunks = await queries.read_chunks.all(tx, job.user_id, job.id)
        region = await contacts.region_of(tx, job.user_id)
    data = b"".join(
        keys.cipher.open(chunk.content, column=CONTENT_COLUMN, row=chunk.id.bytes)
        for chunk in chunks
    )
    mapping = msgspec.json.decode(job.mapping, type=dict[str, str])
    try:
        reading, rows = await asyncio.to_thread(_rows, job, data, Options(mapping))
    except DomainError as error:
        await _fail(pool, import_id, error.code)
        return
    except Exception as error:  # noqa: BLE001  # whoever made the file must not stop the worker
        _log.error("import_unreadable", format=job.format, error=type(error).__name__)
        await _fail(pool, import_id, "server.internal")
        return
    if job.dry_run:
        await _foresee(pool, Book(job.user_id, keys, region, set()), rows)
    await _write(pool, keys, import_id, reading, rows)


async def lock_job(tx: Tx, import_id: UUID) -> Job | None:
    """Return a job that nobody else moves on before this system transaction ends."""
    return await queries.lock_job.first(tx, import_id)


async def forget_chunks(tx: Tx, job: Job) -> None:
    """Forget the file of a job. Needs a system transaction."""
    await queries.delete_chunks.run(tx, job.user_id, job.id)


def payload_of(keys: Keys, row_id: UUID, found: NewContact | FoundInteraction) -> bytes:
    """Return an entry as its row holds it until it is brought in."""
    return keys.cipher.seal(msgspec.json.encode(found), column=PAYLOAD_COLUMN, row=row_id.bytes)


def open_payload(
    keys: Keys, row_id: UUID, kind: RowKind, sealed: bytes
) -> NewContact | FoundInteraction:
    """Return what `payload_of` made unreadable."""
    text = keys.cipher.open(sealed, column=PAYLOAD_COLUMN, row=row_id.bytes)
    made = NewContact if kind == "contact" else FoundInteraction
    return msgspec.json.decode(text, type=made)


def problems_text(problems: Sequence[RowProblem]) -> str:
    """Return problems as their column holds them."""
    return msgspec.json.encode(problems).decode()


def _rows(job: Job, data: bytes, options: Options) -> tuple[Reading, list[Row]]:
    reading = READERS[job.format](data, options)
    rows: list[Row] = []
    for position, entry in enumerate(reading.entries, start=1):
        if position > ENTRIES_MAX:
            raise DomainError("import.too_many")
        rows.append(_row(position, entry))
    return reading, rows


def _row(position: int, entry: Entry) -> Row:
    if entry.found is None:
        status = rules.refused_as(entry)
        return Row(position=position, kind=None, status=status, problems=entry.problems)
    kind = "contact" if isinstance(entry.found, NewContact) else "interaction"
    return Row(
        position=position,
        kind=kind,
        status="pending",
        problems=entry.problems,
        found=entry.found,
    )


async def _foresee(pool: Pool, book: Book, rows: Sequence[Row]) -> None:
    """Say of each entry what would become of it; what would be brought in stays pending."""
    waiting = [(row, row.found) for row in rows if row.found is not None]
    for begin_at in range(0, len(waiting), _SLICE):
        part = waiting[begin_at : begin_at + _SLICE]
        async with begin(pool, SYSTEM, read_only=True) as tx:
            found = [item for _, item in part]
            outcomes = await matching.outcomes(tx, book, found, clock.now())
        for (row, _), outcome in zip(part, outcomes, strict=True):
            row.problems = [*row.problems, *outcome.problems]
            if outcome.status != "new":
                row.status, row.found = outcome.status, None


async def _write(
    pool: Pool, keys: Keys, import_id: UUID, reading: Reading, rows: Sequence[Row]
) -> None:
    async with begin(pool, SYSTEM) as tx:
        job = await queries.lock_job.first(tx, import_id)
        if job is None or job.status != "uploaded":
            return
        for begin_at in range(0, len(rows), _SLICE):
            await _insert(tx, keys, job, rows[begin_at : begin_at + _SLICE])
        await queries.delete_chunks.run(tx, job.user_id, job.id)
        counts = Counter(row.status for row in rows)
        waiting = counts["pending"]
        status = "ready" if job.dry_run else "running" if waiting else "completed"
        await queries.finish_reading.run(
            tx,
            job.id,
            status,
            reading.encoding,
            sorted(reading.remarks),
            [name[:200] for name in reading.ignored_columns[:_COLUMNS_SHOWN]],
            len(rows),
            len(rows) if job.dry_run else len(rows) - waiting,
            waiting if job.dry_run else 0,
            counts["known"],
            counts["skipped"],
            counts["failed"],
        )


async def _insert(tx: Tx, keys: Keys, job: Job, rows: Sequence[Row]) -> None:
    new_ids = [ids.new_id() for _ in rows]
    await queries.insert_rows.run(
        tx,
        job.user_id,
        job.id,
        new_ids,
        [row.position for row in rows],
        [row.kind for row in rows],
        [row.status for row in rows],
        [problems_text(row.problems) for row in rows],
        [
            None if row.found is None else payload_of(keys, row_id, row.found)
            for row_id, row in zip(new_ids, rows, strict=True)
        ],
        [None if row.found is None else _content_hash(keys, job, row.found) for row in rows],
    )


def _content_hash(keys: Keys, job: Job, found: NewContact | FoundInteraction) -> bytes:
    index = matching.content_index(keys, job.user_id, found)
    return keys.cipher.indexes.written(index)


async def _fail(pool: Pool, import_id: UUID, code: str) -> None:
    async with begin(pool, SYSTEM) as tx:
        job = await queries.lock_job.first(tx, import_id)
        if job is not None and job.status == "uploaded":
            await queries.fail.run(tx, job.id, code)
