"""The tap record: 43 bytes that a ring signs and every hop carries unchanged.

`<BBIIIb16sI` = version << 4 | kind, flags, boot, seq, uptime_ms, rssi, peer_eid, peer_ctr; then
the first 8 bytes of AES-CMAC(K_tap, "ring-tap-v1" || ring_id || body). Encoding is canonical: one
record has one byte string, so (ring, boot, seq) with other bytes is a forgery or a fault.
"""

import hmac
import struct
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from core.edge import TapKind

VERSION: Final = 1
RING_ID_BYTES: Final = 8
KEY_BYTES: Final = 16
EID_BYTES: Final = 16
TAG_BYTES: Final = 8
RECORD_BYTES: Final = 43
ATT_MTU_MIN: Final = RECORD_BYTES + 3
"""Below this the record would be cut: a central refuses the link."""

KINDS: Final[dict[TapKind, int]] = {
    "tap_to_phone": 1,
    "ring_to_ring": 2,
    "button": 3,
    "tamper": 4,
}
_KIND_OF: Final[dict[int, TapKind]] = {number: kind for kind, number in KINDS.items()}
_BODY: Final = struct.Struct("<BBIIIb16sI")
_DOMAIN: Final = b"ring-tap-v1"
_TIME_SYNCED: Final = 1
_HAS_PEER: Final = 2
_REPLAYED: Final = 4
_LOW_BATTERY: Final = 8
_KNOWN_FLAGS: Final = _TIME_SYNCED | _HAS_PEER | _REPLAYED | _LOW_BATTERY
_RSSI_UNKNOWN: Final = 127

U32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class TapError(Exception):
    """The bytes are not a tap record, or not one of this ring."""


class TapRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a ring says about one tap; `boot` and `seq` count from 1."""

    kind: TapKind
    boot: U32
    seq: U32
    uptime_ms: U32
    rssi: int | None = None
    """Strength of the peer's signal in dBm, where one was measured."""
    peer_eid: bytes | None = None
    """Rolling id of the other ring (ring_to_ring)."""
    peer_ctr: U32 = 0
    """The seq that the other ring's own record of this touch carries."""
    time_synced: bool = False
    replayed: bool = False
    """No central was subscribed when the tap happened; fixed then, never changed by a replay."""
    low_battery: bool = False


def encode(record: TapRecord, *, ring_id: bytes, key: bytes) -> bytes:
    """Return the signed record."""
    if record.peer_eid is not None and len(record.peer_eid) != EID_BYTES:
        raise ValueError("a rolling id has 16 bytes")
    if record.peer_eid is None and record.peer_ctr:
        raise ValueError("peer_ctr needs peer_eid")
    if not (record.boot and record.seq):
        raise ValueError("boot and seq count from 1")
    if record.rssi is not None and not -128 <= record.rssi < _RSSI_UNKNOWN:  # noqa: PLR2004  # int8
        raise ValueError("rssi is -128 to 126 dBm")
    flags = (
        _TIME_SYNCED * record.time_synced
        | _HAS_PEER * (record.peer_eid is not None)
        | _REPLAYED * record.replayed
        | _LOW_BATTERY * record.low_battery
    )
    body = _BODY.pack(
        VERSION << 4 | KINDS[record.kind],
        flags,
        record.boot,
        record.seq,
        record.uptime_ms,
        _RSSI_UNKNOWN if record.rssi is None else record.rssi,
        record.peer_eid or bytes(EID_BYTES),
        record.peer_ctr,
    )
    return body + _tag(body, ring_id, key)


def decode(raw: bytes) -> TapRecord:
    """Decode without checking the tag, or raise TapError; nothing in it is proved."""
    if len(raw) != RECORD_BYTES:
        raise TapError(f"a tap record has {RECORD_BYTES} bytes, not {len(raw)}")
    head, flags, boot, seq, uptime_ms, rssi, eid, peer_ctr = _BODY.unpack_from(raw)
    kind = _KIND_OF.get(head & 0xF)
    if head >> 4 != VERSION or kind is None:
        raise TapError("unknown version or kind")
    if flags & ~_KNOWN_FLAGS:
        raise TapError("a reserved flag is set")
    if not (boot and seq):
        raise TapError("boot and seq count from 1")
    has_peer = bool(flags & _HAS_PEER)
    if not has_peer and (any(eid) or peer_ctr):
        raise TapError("a peer without its flag")
    return TapRecord(
        kind=kind,
        boot=boot,
        seq=seq,
        uptime_ms=uptime_ms,
        rssi=None if rssi == _RSSI_UNKNOWN else rssi,
        peer_eid=eid if has_peer else None,
        peer_ctr=peer_ctr,
        time_synced=bool(flags & _TIME_SYNCED),
        replayed=bool(flags & _REPLAYED),
        low_battery=bool(flags & _LOW_BATTERY),
    )


def verify(raw: bytes, *, ring_id: bytes, key: bytes) -> bool:
    """Tell whether this ring signed these bytes; takes the same time wherever they differ."""
    if len(raw) != RECORD_BYTES:
        return False
    body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    return hmac.compare_digest(_tag(body, ring_id, key), tag)


def read(raw: bytes, *, ring_id: bytes, key: bytes) -> TapRecord:
    """Verify, then decode; raises TapError."""
    if not verify(raw, ring_id=ring_id, key=key):
        raise TapError("the tag does not verify")
    return decode(raw)


def cmac(key: bytes, message: bytes) -> bytes:
    """Return AES-CMAC (RFC 4493) of a message."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def _tag(body: bytes, ring_id: bytes, key: bytes) -> bytes:
    if len(ring_id) != RING_ID_BYTES or len(key) != KEY_BYTES:
        raise ValueError("a ring id has 8 bytes, its key 16")
    return cmac(key, _DOMAIN + ring_id + body)[:TAG_BYTES]
