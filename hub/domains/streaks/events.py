"""Payloads of the events of streaks; written by migrations/objects/events.sql."""

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


class StreakAtRisk(Struct, frozen=True, kw_only=True, tag="streak.at_risk"):
    """It is evening, and without anything today a streak ends with the day; said once a day."""

    streak_id: UUID
    kind: StreakKind
    length: int
    at_risk_on: date
