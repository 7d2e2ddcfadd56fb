"""Payloads of the events of touches; each side is told of its own row and of nothing else."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class TouchAsked(Struct, frozen=True, kw_only=True, tag="touch.asked"):
    """Somebody's ring says that it touched the user's: they may confirm or decline."""

    touch_id: UUID
    ring_id: UUID | None
    touched_at: datetime | None
    expires_at: datetime


class TouchMutual(Struct, frozen=True, kw_only=True, tag="touch.mutual"):
    """Both sides of a touch are there; `is_asked`: the user may confirm or decline."""

    touch_id: UUID
    ring_id: UUID | None
    touched_at: datetime | None
    is_asked: bool


class TouchExchanged(Struct, frozen=True, kw_only=True, tag="touch.exchanged"):
    """Cards went over both ways; the partner's is under /v1/touches/{touch_id}/card."""

    touch_id: UUID
    ring_id: UUID | None
    touched_at: datetime | None
    partner_id: UUID
    conversation_id: UUID
