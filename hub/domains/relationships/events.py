"""Payloads of the events of relationships; written by migrations/objects/events.sql."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.relationships.schemas import Band, Trend


class HealthChanged(Struct, frozen=True, kw_only=True, tag="health.changed"):
    """A relationship came into another band, or its score moved by 5 points since the last one."""

    contact_id: UUID
    score: float
    strength: float
    band: Band
    trend: Trend
    next_touch_at: datetime
    computed_at: datetime


class ClosenessChanged(Struct, frozen=True, kw_only=True, tag="closeness.changed"):
    """A contact's circles, types or wished frequency changed: its health is computed anew."""

    contact_id: UUID
