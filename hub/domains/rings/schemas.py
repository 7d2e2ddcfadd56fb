"""Rings and taps as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from core.edge import RingLinkState, TapKind, TimeSource

RingKind = Literal["nfc", "ble", "dual"]
RingStatus = Literal["unclaimed", "active", "lost", "revoked", "released"]
TapSource = Literal["ble", "sun", "reader", "phone"]
TapState = Literal["half", "mutual", "exchanged"]
# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
Label = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)")
]
ClaimCode = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=64,
        pattern=r"^[0-9A-Za-z -]+$(?!\n)",
        description="The code on the ring's card; blanks, hyphens and case do not matter.",
        examples=["KQ7F-2MXD-9TRA"],
    ),
]


class RenameRing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gives a ring another label."""

    label: Label


class RevokeRing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Casts a ring out; nobody can ever use it again, so the owner says so twice."""

    confirm: Literal["revoke"]


class Ring(Struct, frozen=True):
    """A ring of the signed-in user."""

    id: UUID
    label: str | None
    kind: RingKind
    status: RingStatus
    battery_pct: int | None
    firmware_version: str | None
    link: RingLinkState | None
    """What the owner's gateways see of it; null: nothing yet."""
    verified: bool
    """Whether the owner has proved to hold it."""
    claimed_at: datetime | None
    last_seen_at: datetime | None
    created_at: datetime


class Tap(Struct, frozen=True):
    """One recorded tap of a ring of the signed-in user."""

    id: UUID
    ring_id: UUID
    gateway_id: UUID | None
    kind: TapKind
    source: TapSource
    boot: int | None
    seq: int | None
    rssi: int | None
    lat: float | None
    lon: float | None
    tapped_at: datetime | None
    uncertainty_ms: int | None
    time_source: TimeSource | None
    verified: bool
    state: TapState
    received_at: datetime


class SunTapped(Struct, frozen=True):
    """A SUN link was genuine and fresh; whose ring it is stays with the owner."""

    tap_id: UUID
    status: Literal["recorded"] = "recorded"


class Pressed(Struct, frozen=True):
    """What a virtual ring counted when it was pressed."""

    boot: int
    seq: int


class StoredRing(Struct, frozen=True):
    """A ring's sealed keys."""

    id: UUID
    tap_key: bytes
    id_key: bytes


class MadeRing(Struct, frozen=True, kw_only=True):
    """A ring as its maker registers it, with its keys."""

    id: UUID
    is_new: bool
    tap_key: bytes
    id_key: bytes
