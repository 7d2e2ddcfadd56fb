"""The spool's file: its schema, how it is opened, and what happens when it is damaged."""

import mmap
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from core import clock, log
from core.errors import ConfigError
from gateway import spool_carving, spool_notes

# The read of a tag is a row like a tap: `reader` says where it was read, `ring` is the read's own
# id, boot and seq are 0, raw is the address.
# AUTOINCREMENT: an id is never used twice, because senders continue after the last id they saw.
SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS taps (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      ring BLOB NOT NULL,
      boot INTEGER NOT NULL,
      seq INTEGER NOT NULL,
      raw BLOB NOT NULL,
      payload BLOB NOT NULL,
      received_ms INTEGER NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'quarantined')),
      reason TEXT,
      machine_boot TEXT NOT NULL DEFAULT '',
      clock_offset_ms INTEGER NOT NULL DEFAULT 0,
      reader TEXT NOT NULL DEFAULT '',
      UNIQUE (ring, boot, seq)
    ) STRICT
    """,
    spool_notes.SCHEMA,
    "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "INSERT OR IGNORE INTO counters (name, value) VALUES ('dropped', 0), ('corruptions', 0)",
    """
    CREATE TABLE IF NOT EXISTS ring_clocks (
      ring BLOB PRIMARY KEY,
      state BLOB NOT NULL,
      updated_ms INTEGER NOT NULL
    ) STRICT
    """,
)
_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS taps_quarantined ON taps (id) WHERE state = 'quarantined'",
    "CREATE INDEX IF NOT EXISTS taps_reads ON taps (id) WHERE reader <> ''",
)
VERSION: Final = 2
"""Of the file, as its user_version; files before there were readers have 0."""
_COLUMNS: Final = (
    "ring, boot, seq, raw, payload, received_ms, state, reason, machine_boot, clock_offset_ms,"
    " reader"
)
# Columns that an earlier version's file lacks; CREATE TABLE IF NOT EXISTS leaves it as it is.
_ADDED: Final = {
    "machine_boot": "ALTER TABLE taps ADD COLUMN machine_boot TEXT NOT NULL DEFAULT ''",
    "clock_offset_ms": "ALTER TABLE taps ADD COLUMN clock_offset_ms INTEGER NOT NULL DEFAULT 0",
    "reader": "ALTER TABLE taps ADD COLUMN reader TEXT NOT NULL DEFAULT ''",
}
_ABSENT: Final = ("", 0, "")
"""What a row of an earlier version's file has in the columns that it lacks."""
_OLDEST_COLUMNS: Final = 9
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE: Final = 0xFF  # extended result codes carry the primary one in the low byte

_log = log.get("gateway.spool")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell a damaged file from a disk that is full, slow or forbidden."""
    # Read by getattr: errors that the sqlite3 module raises by itself carry no code.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in _DAMAGE


def is_full(error: sqlite3.Error) -> bool:
    """Tell a file or disk without room, where deleting may help."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE == sqlite3.SQLITE_FULL


def open_or_replace(path: Path, *, max_bytes: int = 0) -> sqlite3.Connection:
    """Open the spool; set a damaged file aside, carry over what it still gives, start anew."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _mapped(_log_of(path)) as write_ahead_log:
            if spool_carving.is_cut(write_ahead_log):
                # SQLite would go back in silence to what was there before the damage.
                raise _damage("the write-ahead log is damaged")
        return _open(path, max_bytes)
    except OSError as error:
        raise ConfigError(f"gateway.spool_path {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        if not is_damage(error):
            raise ConfigError(_explain(path, error)) from None
        damaged = _set_aside(path)
        _log.error("spool_damaged", reason=str(error), kept_as=damaged.name)
    try:
        db = _open(path, max_bytes)
        salvaged = _salvage(damaged, db)
    except sqlite3.Error as error:
        raise ConfigError(_explain(path, error)) from None
    _log.warning("spool_replaced", salvaged=salvaged)
    return db


def count_waiting(path: Path) -> int:
    """Count the taps of a spool that nobody has opened; a damaged file is left as it is."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)
    try:
        (waiting,) = db.execute("SELECT count(*) FROM taps WHERE state <> 'quarantined'").fetchone()
    finally:
        db.close()
    return waiting


def _open(path: Path, max_bytes: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
    try:
        # Exclusive: a second gateway on the same file is refused instead of sending its taps.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        if max_bytes:
            (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
            db.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
        db.execute("BEGIN IMMEDIATE")
        _migrate(db)
        db.execute("COMMIT")
        _check(db)
        path.chmod(0o600)
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection) -> None:
    """Bring a new file, or one of an earlier version, to this version's schema."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        # What this version does not know of its rows it would lose.
        raise ConfigError("gateway.spool_path: the spool was written by a newer gateway")
    for statement in SCHEMA:
        db.execute(statement)
    present = {name for _, name, *_ in db.execute("PRAGMA table_info(taps)")}
    for column, statement in _ADDED.items():
        if column not in present:
            db.execute(statement)
    for statement in _INDEXES:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damage(verdict)


def _damage(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.corrupt-{clock.unix_ms()}")
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


def _salvage(damaged: Path, target: sqlite3.Connection) -> int:
    """Copy every tap that stands whole on a page of the file or its log; return how many."""
    refused: list[tuple[str, int]] = []

    def found() -> Iterator[list[Any]]:
        with _mapped(damaged) as file, _mapped(_log_of(damaged)) as write_ahead_log:
            for row_id, columns in spool_carving.records(file, write_ahead_log):
                if not _is_tap(columns):
                    continue
                if columns[7] == "quarantined":
                    refused.append((columns[8], row_id))
                yield [row_id, *columns[1:], *_ABSENT[len(columns) - _OLDEST_COLUMNS :]]

    target.execute("BEGIN IMMEDIATE")
    target.executemany(
        f"INSERT OR IGNORE INTO taps (id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # a constant of this module
        found(),
    )
    # Of one row there may be an older page, from before it was refused.
    target.executemany("UPDATE taps SET state = 'quarantined', reason = ? WHERE id = ?", refused)
    target.execute("UPDATE counters SET value = value + 1 WHERE name = 'corruptions'")
    (salvaged,) = target.execute("SELECT count(*) FROM taps").fetchone()
    target.execute("COMMIT")
    return salvaged


def _is_tap(columns: list[Any]) -> bool:
    kinds = (type(None), bytes, int, int, bytes, bytes, int, str)
    return (
        _OLDEST_COLUMNS <= len(columns) <= _OLDEST_COLUMNS + len(_ABSENT)
        and all(isinstance(column, kind) for column, kind in zip(columns, kinds, strict=False))
        and columns[7] in ("pending", "sent", "quarantined")
        and (columns[7] == "quarantined") == (columns[8] is not None)
    )


@contextmanager
def _mapped(path: Path) -> Generator[bytes | mmap.mmap]:
    if not path.exists() or not path.stat().st_size:
        yield b""
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        yield mapped


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _explain(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"gateway.spool_path {path} is in use by another gateway process"
    return f"gateway.spool_path {path} cannot be used: {error}"
