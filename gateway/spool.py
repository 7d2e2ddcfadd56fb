"""The spool: taps on disk between the ring's acknowledgement and the hub's.

One thread owns the SQLite file. Operations queue up while a commit waits for the disk, and the
next commit takes them all (group commit): a lone tap pays one fsync, a burst shares it.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, LiteralString

import msgspec

from core import log
from core.errors import ConfigError
from gateway import spool_file, spool_notes, spool_rows
from gateway.machine_clock import Anchor

BATCH_MAX: Final = 64
LAZY_SECONDS: Final = 0.005  # how long bookkeeping may wait for a tap to share its commit
QUARANTINED_MAX: Final = 10_000

PutOutcome = Literal["stored", "duplicate", "conflict", "full"]
"""`conflict`: another record with the same boot and seq waits here; `full`: no room, keep it."""

_log = log.get("gateway.spool")


class SpoolUnavailableError(Exception):
    """The disk refused; nothing of the operation was kept."""


class Entry(msgspec.Struct, frozen=True):
    """A tap as it is spooled; `payload` is what MQTT will carry."""

    ring: bytes
    boot: int
    seq: int
    raw: bytes
    payload: bytes
    received_ms: int
    clock: Anchor = Anchor()
    """How the gateway's clock stood at `received_ms`."""
    reader: str = ""
    """Where a tag was read; then `ring` is the read's id, boot and seq are 0. Empty: a tap."""


class Stats(msgspec.Struct, frozen=True):
    """What the spool holds, for health and status."""

    pending: int
    sent: int
    quarantined: int
    oldest_ms: int | None
    dropped: int
    corruptions: int
    failing: str
    """Why the last commit failed, or empty."""
    refused: dict[str, int]
    """Quarantined taps by the hub's reason."""
    notes: int = 0
    """Messages of less worth that wait beside the taps."""
    reads: int = 0
    """How many of the pending and sent are reads of tags."""


class _Operation(msgspec.Struct):
    run: Callable[[sqlite3.Connection], Any]
    urgent: bool
    future: asyncio.Future[Any] | None
    loop: asyncio.AbstractEventLoop | None
    marks: Sequence[int] = ()
    """Rows that it marks as sent."""


class Spool:
    """Durable queue of taps, unique by (ring, boot, seq)."""

    def __init__(self, path: Path, *, max_rows: int = 1_000_000, max_bytes: int = 0) -> None:
        """Open or create the file; raise ConfigError when the place is unusable or taken."""
        self.path = path
        self.max_rows = max_rows
        self._max_bytes = max_bytes
        self.generation = 0
        """Changes when the file was replaced; row ids of different generations do not compare."""
        self._failing = ""
        # Counted here: with a long backlog SQLite would take a while, each time.
        self._counts: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        # What the disk refused to note: else the hub's acknowledgement would not find these rows.
        self._unmarked: set[int] = set()
        self._db: sqlite3.Connection | None = None
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        opened: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        # SQLite connections stay in the thread that opened them, so the thread opens.
        self._thread = threading.Thread(target=self._work, args=(opened,), name="spool")
        self._thread.daemon = True
        self._thread.start()
        if problem := opened.get():
            self._thread.join()
            raise problem

    async def put(self, entry: Entry) -> PutOutcome:
        """Return once the tap is on disk, was already there, or has no place; may raise."""
        return await self._submit(lambda db: self._put(db, entry), urgent=True)

    async def after(self, row_id: int, limit: int, *, reads: bool = False) -> list[spool_rows.Row]:
        """Return up to `limit` taps, or reads, after `row_id` in arrival order, to be sent."""
        return await self._submit(
            lambda db: spool_rows.after(db, row_id, limit, reads=reads), urgent=True
        )

    def mark_sent(self, row_ids: Sequence[int]) -> None:
        """Note soon that rows went to the broker; only such rows can be acknowledged."""
        ids = list(row_ids)
        self._queue.put(_Operation(lambda db: self._mark_sent(db, ids), False, None, None, ids))

    async def acknowledge(self, ring: bytes, boot: int, ranges: Sequence[tuple[int, int]]) -> int:
        """Forget sent taps that the hub has committed; return how many."""
        return await self._submit(lambda db: self._acknowledge(db, ring, boot, ranges))

    async def quarantine(self, ring: bytes, boot: int, refused: Sequence[tuple[int, str]]) -> int:
        """Keep refused taps aside with their reason, never to be sent again; return how many."""
        return await self._submit(lambda db: self._quarantine(db, ring, boot, refused))

    async def remember(self, ring: bytes, state: bytes) -> None:
        """Keep what the gateway knows of a ring's clock."""
        await self._submit(lambda db: spool_rows.remember(db, ring, state))

    async def remembered(self) -> dict[bytes, bytes]:
        """Return what `remember` kept, by ring."""
        return await self._submit(spool_rows.remembered)

    async def note(self, topic: str, payload: bytes) -> None:
        """Keep a message that is worth less than any tap."""
        await self._submit(lambda db: spool_notes.add(db, topic, payload))

    async def notes(self, limit: int) -> list[spool_notes.Note]:
        """Return the oldest notes."""
        return await self._submit(lambda db: spool_notes.oldest(db, limit), urgent=True)

    async def forget_notes(self, note_ids: Sequence[int]) -> None:
        """Remove notes that were sent."""
        await self._submit(lambda db: spool_notes.forget(db, note_ids))

    async def stats(self) -> Stats:
        """Return what the spool holds."""
        return await self._submit(self._stats, urgent=True)

    async def quarantined(self, limit: int = 100) -> list[tuple[bytes, int, int, str]]:
        """Return (ring, boot, seq, reason) of refused taps, newest first."""
        return await self._submit(lambda db: spool_rows.quarantined(db, limit), urgent=True)

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._queue.put(None)
        self._thread.join()

    async def _submit(
        self, run: Callable[[sqlite3.Connection], Any], *, urgent: bool = False
    ) -> Any:  # noqa: ANN401  # the result of `run`
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Operation(run, urgent, future, loop))
        return await future

    def _work(self, opened: queue.SimpleQueue[Exception | None]) -> None:
        try:
            self._db = self._open()
        except ConfigError as problem:
            opened.put(problem)
            return
        opened.put(None)
        is_open = True
        while is_open:
            batch = self._next_batch()
            is_open = batch[-1] is not None
            self._commit([operation for operation in batch if operation])
        self._close()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        db = spool_file.open_or_replace(self.path, max_bytes=self._max_bytes)
        by_state = db.execute("SELECT state, count(*) FROM taps GROUP BY state")
        self._counts = Counter(dict(by_state.fetchall()))
        return db

    def _next_batch(self) -> list[_Operation | None]:
        first = self._queue.get()
        batch = [first]
        patience = 0.0 if first is None or first.urgent else LAZY_SECONDS
        until = time.monotonic() + patience
        while batch[-1] is not None and len(batch) < BATCH_MAX:
            try:
                operation = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if operation is None or operation.urgent:
                until = 0.0
            batch.append(operation)
        return batch

    def _commit(self, batch: list[_Operation]) -> None:
        if not batch:
            return
        self._changes.clear()
        try:
            if self._db is None:
                self._db = self._open()
                self.generation += 1
                self._unmarked.clear()
            self._db.execute("BEGIN IMMEDIATE")
            if self._unmarked:
                self._mark_sent(self._db, sorted(self._unmarked))
            results = [operation.run(self._db) for operation in batch]
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if spool_file.is_full(error) and self._make_room():
                self._commit(batch)
                return
            self._fail(batch, error)
            return
        except ConfigError as error:
            self._fail(batch, error)
            return
        self._unmarked.clear()
        self._counts.update(self._changes)
        self._failing = ""
        _resolve(batch, results)

    def _make_room(self) -> bool:
        """Give up what is worth less than a new tap: notes first, then refused taps."""
        if self._db is None:
            return False
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._changes.clear()
            self._db.execute("BEGIN IMMEDIATE")
            lost = spool_notes.forget_all(self._db)
            if not lost:
                lost = self._drop_quarantined(self._db, QUARANTINED_MAX)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            return False  # a disk without room for the deletion either
        self._counts.update(self._changes)
        _log.warning("spool_made_room", rows=lost)
        return lost > 0

    def _fail(self, batch: list[_Operation], error: sqlite3.Error | ConfigError) -> None:
        self._failing = str(error)
        _log.error("spool_commit_failed", reason=str(error), operations=len(batch))
        self._recover(error)
        self._unmarked.update(*(operation.marks for operation in batch))
        _resolve(batch, [SpoolUnavailableError(str(error))] * len(batch))

    def _recover(self, error: sqlite3.Error | ConfigError) -> None:
        """Undo the batch; a damaged file is closed, so that the next batch replaces it."""
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as problem:
            error = problem
        if isinstance(error, sqlite3.Error) and spool_file.is_damage(error):
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _put(self, db: sqlite3.Connection, entry: Entry) -> PutOutcome:
        known = db.execute(
            "SELECT raw, state FROM taps WHERE ring = ? AND boot = ? AND seq = ?",
            (entry.ring, entry.boot, entry.seq),
        ).fetchone()
        if known and known[0] == entry.raw:
            return "duplicate"
        if known and known[1] != "quarantined":
            # A forged record must not displace a genuine one, nor hide it: the second waits in
            # the ring until the hub has judged the first.
            return "conflict"
        if known:
            self._delete_quarantined(
                db, "ring = ? AND boot = ? AND seq = ?", entry.ring, entry.boot, entry.seq
            )
        rows = self._counts.total() + self._changes.total()
        if rows >= self.max_rows and not self._drop_quarantined(db, 1):
            return "full"
        db.execute(
            "INSERT INTO taps"
            " (ring, boot, seq, raw, payload, received_ms, machine_boot, clock_offset_ms, reader,"
            "  state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
            (
                entry.ring,
                entry.boot,
                entry.seq,
                entry.raw,
                entry.payload,
                entry.received_ms,
                entry.clock.machine_boot,
                entry.clock.offset_ms,
                entry.reader,
            ),
        )
        self._changes["pending"] += 1
        return "stored"

    def _acknowledge(
        self, db: sqlite3.Connection, ring: bytes, boot: int, ranges: Sequence[tuple[int, int]]
    ) -> int:
        deleted = sum(
            db.execute(
                "DELETE FROM taps"
                " WHERE ring = ? AND boot = ? AND seq BETWEEN ? AND ? AND state = 'sent'",
                (ring, boot, first, last),
            ).rowcount
            for first, last in ranges
        )
        self._changes["sent"] -= deleted
        return deleted

    def _mark_sent(self, db: sqlite3.Connection, row_ids: Sequence[int]) -> None:
        marked = db.executemany(
            "UPDATE taps SET state = 'sent' WHERE id = ? AND state = 'pending'",
            [(row_id,) for row_id in row_ids],
        ).rowcount
        self._changes["pending"] -= marked
        self._changes["sent"] += marked

    def _quarantine(
        self, db: sqlite3.Connection, ring: bytes, boot: int, refused: Sequence[tuple[int, str]]
    ) -> int:
        moved = db.executemany(
            "UPDATE taps SET state = 'quarantined', reason = ?"
            " WHERE ring = ? AND boot = ? AND seq = ? AND state = 'sent'",
            [(reason, ring, boot, seq) for seq, reason in refused],
        ).rowcount
        self._changes["sent"] -= moved
        self._changes["quarantined"] += moved
        kept = self._counts["quarantined"] + self._changes["quarantined"]
        self._drop_quarantined(db, kept - QUARANTINED_MAX)
        return moved

    def _drop_quarantined(self, db: sqlite3.Connection, count: int) -> int:
        """Make room at the cost of refused taps, the only ones that nobody waits for."""
        if count <= 0:
            return 0
        dropped = self._delete_quarantined(
            db,
            "id IN (SELECT id FROM taps WHERE state = 'quarantined' ORDER BY id LIMIT ?)",
            count,
        )
        db.execute("UPDATE counters SET value = value + ? WHERE name = 'dropped'", (dropped,))
        return dropped

    def _delete_quarantined(
        self, db: sqlite3.Connection, condition: LiteralString, *values: object
    ) -> int:
        statement = "DELETE FROM taps WHERE state = 'quarantined' AND " + condition  # noqa: S608  # conditions are literals of this module
        deleted = db.execute(statement, values).rowcount
        self._changes["quarantined"] -= deleted
        return deleted

    def _stats(self, db: sqlite3.Connection) -> Stats:
        oldest = db.execute(
            "SELECT received_ms FROM taps WHERE state <> 'quarantined' ORDER BY id LIMIT 1"
        ).fetchone()
        counters: dict[str, int] = dict(db.execute("SELECT name, value FROM counters").fetchall())
        refused = db.execute(
            "SELECT reason, count(*) FROM taps WHERE state = 'quarantined' GROUP BY reason"
        )
        return Stats(
            pending=self._counts["pending"] + self._changes["pending"],
            sent=self._counts["sent"] + self._changes["sent"],
            quarantined=self._counts["quarantined"] + self._changes["quarantined"],
            oldest_ms=oldest[0] if oldest else None,
            dropped=counters["dropped"],
            corruptions=counters["corruptions"],
            failing=self._failing,
            refused=dict(refused.fetchall()),
            notes=spool_notes.count(db),
            reads=spool_rows.count_reads(db),
        )


def _resolve(batch: list[_Operation], results: Sequence[object]) -> None:
    """Hand results to their waiters with one wake-up per event loop."""
    waiting: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for operation, result in zip(batch, results, strict=True):
        if operation.future is not None and operation.loop is not None:
            waiting.setdefault(operation.loop, []).append((operation.future, result))
    for loop, pairs in waiting.items():
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:
            _log.debug("spool_waiter_gone")  # the loop closed while the disk was busy


def _set_results(pairs: list[tuple[asyncio.Future[Any], object]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
