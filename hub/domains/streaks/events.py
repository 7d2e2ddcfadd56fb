"""Payload of the event of streaks; written by migrations/objects/events.sql."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from hub.domains.streaks.schemas import StreakKind


class StreakMilestone(Struct, frozen=True, kw_only=True, tag="streak.milestone"):
    """A streak has come to 7, 30, 100, 365 or 1000 days."""

    streak_id: UUID
    kind: StreakKind
    length: int
    started_on: date
