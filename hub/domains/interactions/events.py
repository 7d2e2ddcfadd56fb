"""Payload of the event of interactions: what needs to be known to react, and none of its words."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.interactions.schemas import Direction, InteractionKind


class InteractionRecorded(Struct, frozen=True, kw_only=True, tag="interaction.recorded"):
    """The user had to do with somebody; `contact_id` is null if that is nobody they know."""

    interaction_id: UUID
    contact_id: UUID | None
    kind: InteractionKind
    direction: Direction
    occurred_at: datetime
    is_private: bool
