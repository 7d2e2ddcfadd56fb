"""The spool's file: its schema, how it is opened, and what happens when it is damaged."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from core import clock, log
from core.errors import ConfigError
from gateway import spool_notes

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
_ABSENT: Final = {"machine_boot": "''", "clock_offset_ms": "0", "reader": "''"}
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
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.corrupt-{clock.unix_ms()}")
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


def _salvage(damaged: Path, target: sqlite3.Connection) -> int:
    """Copy every tap that can still be read, from both ends towards the damage, in order."""
    rows: dict[int, list[Any]] = {}
    for direction in ("ASC", "DESC"):
        rows.update((row_id, columns) for row_id, *columns in _readable(damaged, direction))
    target.execute("BEGIN IMMEDIATE")
    target.executemany(
        f"INSERT OR IGNORE INTO taps ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # a constant of this module
        [rows[row_id] for row_id in sorted(rows)],
    )
    target.execute("UPDATE counters SET value = value + 1 WHERE name = 'corruptions'")
    target.execute("COMMIT")
    return len(rows)


def _readable(damaged: Path, direction: str) -> Iterator[tuple[Any, ...]]:
    # A copy is read, never changed: it stays as evidence.
    try:
        source = sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True, timeout=0.5)
    except sqlite3.Error:
        return
    try:
        present = {name for _, name, *_ in source.execute("PRAGMA table_info(taps)")}
        columns = ", ".join(
            name if name in present else _ABSENT[name] for name in _COLUMNS.split(", ")
        )
        yield from source.execute(
            f"SELECT id, {columns} FROM taps NOT INDEXED ORDER BY id {direction}"  # noqa: S608  # all parts are constants of this module
        )
    except sqlite3.Error as error:
        _log.warning("spool_salvage_stopped", reason=str(error), direction=direction)
    finally:
        source.close()


def _explain(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"gateway.spool_path {path} is in use by another gateway process"
    return f"gateway.spool_path {path} cannot be used: {error}"
