"""Touches: two rings, or a ring and a phone, that met; each side sees its own row."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

TouchState = Literal["half", "mutual", "exchanged", "declined", "expired"]
TouchEvent = Literal["partnered", "confirmed", "exchanged", "declined", "expired"]
TouchAnswer = Literal["confirmed", "declined"]

SunUrl = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        pattern=r"^https?://[!-~]+$(?!\n)",
        description="The link that the ring's tag has just opened.",
    ),
]


class ReadRing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tells that the user's phone has read a ring."""

    sun_url: SunUrl


class Touch(Struct, frozen=True):
    """The user's side of a touch; who the other is stands here once both agreed."""

    id: UUID
    ring_id: UUID | None
    tap_id: UUID | None
    state: TouchState
    is_asked: bool
    answer: TouchAnswer | None
    partner_id: UUID | None
    conversation_id: UUID | None
    touched_at: datetime | None
    expires_at: datetime
    created_at: datetime


class SealedCard(Struct, frozen=True):
    """The partner's card as it is stored at this side."""

    id: UUID
    state: TouchState
    partner_user_id: UUID | None
    partner_card: bytes | None


class Half(Struct, frozen=True, kw_only=True):
    """One ring's record of a touch, its peer's rotating identifier resolved."""

    tap_id: UUID
    ring_id: UUID
    seq: int
    peer_ring_id: UUID | None
    peer_seq: int
    tapped_ms: int | None
    uncertainty_ms: int
    received_ms: int


class Record(Struct, frozen=True):
    """A record of a touch as it is stored, with the sealed identifier key of its ring."""

    tap_id: UUID
    user_id: UUID
    ring_id: UUID
    seq: int
    peer_eid: bytes
    peer_seq: int
    id_key: bytes | None
    tapped_at: datetime | None
    uncertainty_ms: int
    received_at: datetime


class LockedTap(Struct, frozen=True):
    """What a record has become by now."""

    tap_id: UUID
    state: TouchState
    partner_ring_id: UUID | None


class Side(Struct, frozen=True):
    """One side of a meeting, locked."""

    id: UUID
    user_id: UUID
    meeting_id: UUID
    side: int
    ring_id: UUID | None
    tap_id: UUID | None
    state: TouchState
    is_asked: bool
    answer: TouchAnswer | None


class ReadTap(Struct, frozen=True):
    """The record of a ring that a phone has read, and whose ring it is."""

    user_id: UUID
    ring_id: UUID
    tapped_at: datetime | None


class Lone(Struct, frozen=True):
    """A half that nobody has answered yet."""

    touch_id: UUID
    user_id: UUID
    ring_id: UUID
    peer_eid: bytes
    tapped_at: datetime
    uncertainty_ms: int


class IdKey(Struct, frozen=True):
    """The sealed key that a ring's rotating identifiers are made from."""

    ring_id: UUID
    id_key: bytes
