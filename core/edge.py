"""The contract between gateway and hub: MQTT topics and the CBOR payloads on them.

Topics: gateways write under `ping/v1/gw/{gateway}/…`, the hub answers under
`ping/v1/cmd/gw/{gateway}/…`; the two trees are disjoint so that one ACL line each fences a gateway.
Payloads are CBOR maps (RFC 8949, deterministic) with the field names of the Structs below.
"""

from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

import cbor2
import msgspec

TAPS_FILTER: Final = "ping/v1/gw/+/ring/+/tap"
STATE_FILTER: Final = "ping/v1/gw/+/state"
CONTENT_TYPE: Final = "application/cbor;v=1"

TapKind = Literal["tap_to_phone", "ring_to_ring", "button", "tamper"]
TimeSource = Literal["synced", "bounded", "gateway", "none"]
RejectCode = Literal[
    "malformed",  # the event or the record in it does not decode
    "unknown_ring",  # no ring with this device id, or it is not claimed
    "bad_tag",  # the record's CMAC does not verify with the ring's key
    "ring_revoked",  # the ring was reported lost or revoked
    "counter_stale",  # boot and seq were already used by a different record
]
U32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class PayloadError(Exception):
    """The payload is not CBOR of the expected shape."""


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all payloads; unknown fields are ignored so that either side may be newer."""


class TapEvent(Payload, frozen=True, kw_only=True):
    """One tap. `raw` is authoritative; the hub verifies its tag, the rest is the gateway's view."""

    v: Literal[1] = 1
    ring: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    boot: U32
    seq: U32
    raw: Annotated[bytes, msgspec.Meta(max_length=64)]
    t: int | None = None
    """Unix milliseconds of the tap, as far as the gateway knows."""
    unc_ms: int = 0
    t_src: TimeSource = "none"
    rx_ms: int = 0
    """Unix milliseconds when the gateway received the record."""
    tx_ms: int = 0
    """Unix milliseconds, by the gateway's clock, of this sending; shows how far clocks differ."""
    rssi: int | None = None
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None


class Ack(Payload, frozen=True, kw_only=True):
    """The hub's word for one (ring, boot): committed seqs as ranges, refused ones with a reason.

    With neither, the hub has seen taps of it and cannot judge them now: others may go first.
    """

    ring: bytes
    boot: U32
    sack: list[tuple[int, int]] = []
    """Inclusive ranges of seqs that are committed; the gateway may forget them."""
    rej: list[tuple[int, str]] = []
    """Refused for good: quarantine, never resend. A RejectCode, or one of a newer hub."""


class AckMessage(Payload, frozen=True, kw_only=True):
    """What one message on the ack topic carries."""

    acks: list[Ack]


class GatewayState(Payload, frozen=True, kw_only=True):
    """Presence of a gateway (retained; `lost` is its last will)."""

    state: Literal["online", "stopping", "lost"]
    session: str
    t: int


_P = TypeVar("_P", bound=Payload)


def tap_topic(gateway: UUID | str, ring: bytes) -> str:
    """Return where a gateway publishes the taps of a ring."""
    return f"ping/v1/gw/{gateway}/ring/{ring.hex()}/tap"


def state_topic(gateway: UUID | str) -> str:
    """Return where a gateway's presence is retained."""
    return f"ping/v1/gw/{gateway}/state"


def ack_topic(gateway: UUID | str) -> str:
    """Return where the hub acknowledges a gateway's taps."""
    return f"ping/v1/cmd/gw/{gateway}/ack"


def gateway_of(topic: str) -> str:
    """Return the gateway id in a topic of the gateways' subtree."""
    return topic.split("/", 4)[3]


def encode(payload: Payload) -> bytes:
    """Encode a payload as deterministic CBOR."""
    return cbor2.dumps(msgspec.to_builtins(payload, builtin_types=(bytes,)), canonical=True)


def stamp(payload: bytes, sent_ms: int) -> bytes:
    """Return an encoded TapEvent with the time of this sending."""
    return cbor2.dumps({**cbor2.loads(payload), "tx_ms": sent_ms}, canonical=True)


def decode(data: bytes, kind: type[_P]) -> _P:
    """Decode a payload, or raise PayloadError."""
    try:
        return msgspec.convert(cbor2.loads(data), kind)
    except (msgspec.ValidationError, cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise PayloadError(str(error)) from None
