"""Payloads of the events of nudges; written by migrations/objects/events.sql."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.nudges.schemas import NudgeKind


class NudgeCreated(Struct, frozen=True, kw_only=True, tag="nudge.created"):
    """The hub reminds of a contact."""

    nudge_id: UUID
    contact_id: UUID
    kind: NudgeKind
    created_at: datetime
