"""Taps on their way from MQTT into the database."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from core.edge import RejectCode, TapEvent, TimeSource
from firmware_bridge.tap import TapRecord

Outcome = Literal[
    "recorded", "duplicate", "unknown_ring", "ring_revoked", "counter_stale", "key_changed"
]
Verdict = RejectCode | Literal["committed", "deferred", "untrusted"]
"""`deferred`: not this time; the gateway keeps the tap, lets others go first and sends it again.
`untrusted`: nor this gateway's other taps; it is not answered."""


class Arrival(msgspec.Struct, frozen=True):
    """A tap event that decodes, from the gateway whose topic it came on."""

    gateway_id: UUID
    event: TapEvent
    record: TapRecord
    received_ms: int


class Refusal(msgspec.Struct, frozen=True):
    """A tap that is refused for good, and what can be told of it."""

    gateway_id: UUID
    reason: RejectCode
    device_id: bytes
    boot: int | None
    seq: int | None
    raw: bytes


class SealedKeys(msgspec.Struct, frozen=True):
    """The sealed keys by which a ring may sign its taps."""

    id: UUID
    device_id: bytes
    version: int
    present: bytes | None
    following: bytes | None
    former: bytes | None
    rotated_boot: int | None
    rotated_seq: int | None


class OpenKeys(msgspec.Struct, frozen=True):
    """The keys by which a ring may sign its taps; around a claim there are two."""

    version: int
    present: bytes
    following: bytes | None = None
    """What it signs with once it has the confirmation of its claim."""
    former: bytes | None = None
    """What it signed with before `rotated`, its first known tap (boot, seq) under `present`."""
    rotated: tuple[int, int] = (0, 0)


Signer = Literal["present", "following", "former"]


class TapTime(msgspec.Struct, frozen=True):
    """When a tap happened, how sure that is, and whose clock says so."""

    tapped_at: datetime | None
    uncertainty_ms: int | None
    source: TimeSource


class TapRow(msgspec.Struct, frozen=True):
    """One element of the batch that `app.record_taps` takes."""

    device_id: str
    gateway_id: UUID
    kind: str
    source: str
    boot: int
    seq: int
    raw: str
    peer_eid: str | None
    peer_ctr: int | None
    lat: float | None
    lon: float | None
    rssi: int | None
    tapped_at: datetime | None
    uncertainty_ms: int | None
    time_source: TimeSource
    key_version: int


class TapOutcome(msgspec.Struct, frozen=True):
    """What became of the element at `position`."""

    position: int
    outcome: str


class Answered(msgspec.Struct, frozen=True):
    """The hub's verdict on one tap, for the gateway that carried it."""

    gateway_id: UUID
    ring: bytes
    boot: int
    seq: int
    verdict: Verdict
