"""Who of one's contacts knows whom, as the REST interface takes and shows it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

LinkKind = Literal["colleague", "friend", "client", "vendor", "family", "other"]
Strength = Annotated[float, Meta(ge=0, le=1, examples=[0.7])]


class PutLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How two contacts know each other; the same from both ends."""

    kind: LinkKind
    strength: Strength = 0.5


class Link(Struct, frozen=True):
    """Somebody a contact knows, from that contact's end."""

    contact_id: UUID
    """The other end."""
    full_name: str
    kind: LinkKind
    strength: float
    mutuals: int
    """How many contacts know both."""
    detected_at: datetime
    updated_at: datetime


class Mutual(Struct, frozen=True):
    """A contact whom two others know."""

    contact_id: UUID
    full_name: str
    company: str | None
