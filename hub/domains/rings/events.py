"""Payloads of the events of rings; the columns that the database's triggers emit."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from core.edge import RingLinkState, TapKind, TimeSource
from hub.domains.rings.schemas import RingKind, RingStatus, TapSource


class _Ring(Struct, frozen=True, kw_only=True):
    ring_id: UUID
    label: str | None
    kind: RingKind
    status: RingStatus


class RingClaimed(_Ring, frozen=True, tag="ring.claimed"):
    """A user made a ring theirs."""


class RingRenamed(_Ring, frozen=True, tag="ring.renamed"):
    """The owner changed a ring's label."""


class RingLost(_Ring, frozen=True, tag="ring.lost"):
    """The owner reported a ring as lost; its taps are refused from now on."""


class RingFound(_Ring, frozen=True, tag="ring.found"):
    """A lost ring is there again; its taps count from now on."""


class RingReleased(_Ring, frozen=True, tag="ring.released"):
    """The owner parted with a ring; its history stays theirs."""


class RingRevoked(_Ring, frozen=True, tag="ring.revoked"):
    """The owner cast a ring out, for good."""


class RingChanged(Struct, frozen=True, kw_only=True, tag="ring.changed"):
    """A gateway of the owner told something new of a ring."""

    ring_id: UUID
    battery_pct: int | None
    firmware_version: str | None
    link: RingLinkState | None
    last_seen_at: datetime | None


class RingTapped(Struct, frozen=True, kw_only=True, tag="ring.tapped"):
    """A tap was recorded, exactly once."""

    tap_id: UUID
    ring_id: UUID
    kind: TapKind
    source: TapSource
    boot: int | None
    seq: int | None
    rssi: int | None
    gateway_id: UUID | None
    tapped_at: datetime | None
    uncertainty_ms: int | None
    time_source: TimeSource | None
    verified: bool
