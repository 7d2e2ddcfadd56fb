"""Two rings that touch: what they swap, and the record that each writes of it.

Each writes 20 bytes to the other's TOUCH characteristic: its rotating identifier, and the seq that
its own record of this touch will carry (u32 LE). Each then signs a `ring_to_ring` tap record with
what it was told. The swap itself proves nothing; two records that name each other do.
"""

import struct
from typing import Annotated, Final

import msgspec

from firmware_bridge import tap
from firmware_bridge.tap import EID_BYTES, U32, TapError, TapRecord

TOUCH_BYTES: Final = 20
_LAYOUT: Final = struct.Struct("<16sI")

Eid = Annotated[bytes, msgspec.Meta(min_length=EID_BYTES, max_length=EID_BYTES)]


class TouchError(Exception):
    """The bytes are not what a ring writes when it touches another."""


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """What one ring tells the other; `seq` counts from 1."""

    eid: Eid
    seq: U32


def encode(touch: Touch) -> bytes:
    """Return what a ring writes to the other's TOUCH characteristic."""
    if len(touch.eid) != EID_BYTES or not touch.seq:
        raise ValueError("a rolling id has 16 bytes, seq counts from 1")
    return _LAYOUT.pack(touch.eid, touch.seq)


def decode(data: bytes) -> Touch:
    """Read what the other ring wrote, or raise TouchError."""
    if len(data) != TOUCH_BYTES:
        raise TouchError(f"a touch has {TOUCH_BYTES} bytes, not {len(data)}")
    eid, seq = _LAYOUT.unpack(data)
    if not seq or not any(eid):
        raise TouchError("a touch without identifier or seq")
    return Touch(eid=eid, seq=seq)


def encode_record(
    touched: Touch, *, ring_id: bytes, key: bytes, boot: int, seq: int, uptime_ms: int
) -> bytes:
    """Return the signed record of a touch, by the ring that was told `touched`."""
    record = TapRecord(
        kind="ring_to_ring",
        boot=boot,
        seq=seq,
        uptime_ms=uptime_ms,
        peer_eid=touched.eid,
        peer_ctr=touched.seq,
    )
    return tap.encode(record, ring_id=ring_id, key=key)


def read_record(raw: bytes, *, ring_id: bytes, key: bytes) -> tuple[TapRecord, Touch]:
    """Verify the record of a touch and return it with what the peer told, or raise TapError."""
    record = tap.read(raw, ring_id=ring_id, key=key)
    if record.kind != "ring_to_ring" or record.peer_eid is None or not record.peer_ctr:
        raise TapError("not the record of a touch")
    return record, Touch(eid=record.peer_eid, seq=record.peer_ctr)
