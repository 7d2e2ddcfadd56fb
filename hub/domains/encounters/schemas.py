"""What the hub itself sees of people who meet and write."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Touched(Struct, frozen=True):
    """One side of a touch at which cards went over."""

    id: UUID
    user_id: UUID
    partner_user_id: UUID
    partner_card: bytes | None
    touched_at: datetime


class TalkPartner(Struct, frozen=True):
    """A member of a direct conversation, and the contact as which they know the other one."""

    user_id: UUID
    contact_id: UUID | None
