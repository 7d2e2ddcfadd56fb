"""Reads and plain writes of the spool; run in its thread and transactions."""

import sqlite3
from typing import Final

import msgspec

from core import clock
from gateway.machine_clock import Anchor


class Row(msgspec.Struct, frozen=True):
    """A spooled tap that the hub has not acknowledged."""

    id: int
    ring: bytes
    boot: int
    seq: int
    payload: bytes
    received_ms: int = 0
    clock: Anchor = Anchor()
    """How the gateway's clock stood at `received_ms`."""
    reader: str = ""
    """Where a tag was read; then `ring` is the read's id. Empty: a tap."""


_AFTER: Final = (
    "SELECT id, ring, boot, seq, payload, received_ms, machine_boot, clock_offset_ms, reader"
    " FROM taps"
    " WHERE id > ? AND state <> 'quarantined' AND reader = ''"
    " ORDER BY id"
    " LIMIT ?"
)
_READS_AFTER: Final = _AFTER.replace("reader = ''", "reader <> ''")


def after(db: sqlite3.Connection, row_id: int, limit: int, *, reads: bool = False) -> list[Row]:
    """Return up to `limit` taps, or reads, that follow `row_id` and may be sent."""
    found = db.execute(_READS_AFTER if reads else _AFTER, (row_id, limit))
    return [
        Row(row, ring, boot, seq, payload, received_ms, Anchor(machine_boot, offset_ms), reader)
        for row, ring, boot, seq, payload, received_ms, machine_boot, offset_ms, reader in found
    ]


def count_reads(db: sqlite3.Connection) -> int:
    """Return how many reads of tags wait."""
    (number,) = db.execute(
        "SELECT count(*) FROM taps WHERE reader <> '' AND state <> 'quarantined'"
    ).fetchone()
    return number


def remember(db: sqlite3.Connection, ring: bytes, state: bytes) -> None:
    """Keep what is known of a ring's clock."""
    db.execute(
        "INSERT INTO ring_clocks (ring, state, updated_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (ring)"
        " DO UPDATE SET state = excluded.state, updated_ms = excluded.updated_ms",
        (ring, state, clock.unix_ms()),
    )


def remembered(db: sqlite3.Connection) -> dict[bytes, bytes]:
    """Return what `remember` kept, by ring."""
    return dict(db.execute("SELECT ring, state FROM ring_clocks").fetchall())


def quarantined(db: sqlite3.Connection, limit: int) -> list[tuple[bytes, int, int, str]]:
    """Return (ring, boot, seq, reason) of refused taps, newest first."""
    return db.execute(
        "SELECT ring, boot, seq, reason FROM taps WHERE state = 'quarantined'"
        " ORDER BY id DESC LIMIT ?",
        (limit,),
    ).fetchall()
