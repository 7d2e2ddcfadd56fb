"""Notes in the spool: messages that are worth keeping over an outage but not worth a tap.

They go when the broker has answered them, when there are too many, and first of all when taps need
the room. Run in the spool's thread and transactions.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

NOTES_MAX: Final = 1440
"""A day of minutes."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL
) STRICT
"""


class Note(msgspec.Struct, frozen=True):
    """One kept message."""

    id: int
    topic: str
    payload: bytes


def add(db: sqlite3.Connection, topic: str, payload: bytes) -> None:
    """Keep a note; the oldest beyond the bound go."""
    db.execute("INSERT INTO notes (topic, payload) VALUES (?, ?)", (topic, payload))
    db.execute("DELETE FROM notes WHERE id <= (SELECT max(id) FROM notes) - ?", (NOTES_MAX,))


def oldest(db: sqlite3.Connection, limit: int) -> list[Note]:
    """Return the next notes to send."""
    found = db.execute("SELECT id, topic, payload FROM notes ORDER BY id LIMIT ?", (limit,))
    return [Note(*columns) for columns in found]


def forget(db: sqlite3.Connection, note_ids: Sequence[int]) -> None:
    """Remove notes that were sent."""
    db.executemany("DELETE FROM notes WHERE id = ?", [(note_id,) for note_id in note_ids])


def forget_all(db: sqlite3.Connection) -> int:
    """Make room for taps; return how many notes were lost."""
    return db.execute("DELETE FROM notes").rowcount


def count(db: sqlite3.Connection) -> int:
    """Return how many notes wait."""
    (number,) = db.execute("SELECT count(*) FROM notes").fetchone()
    return number
