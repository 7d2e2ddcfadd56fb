"""Payload of the event of insights; written by migrations/objects/events.sql."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.insights.schemas import InsightKind


class InsightCreated(Struct, frozen=True, kw_only=True, tag="insight.created"):
    """The hub has noticed something."""

    insight_id: UUID
    kind: InsightKind
    title: str
    content: str
    actionable: bool
    created_at: datetime
