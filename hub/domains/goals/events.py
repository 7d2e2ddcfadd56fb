"""Payloads of the events of goals; written by migrations/objects/events.sql."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.goals.schemas import GoalKind, Timeline


class GoalSet(Struct, frozen=True, kw_only=True, tag="goal.set"):
    """The user has a new goal."""

    goal_id: UUID
    kind: GoalKind
    contact_id: UUID | None
    timeline: Timeline


class GoalAchieved(Struct, frozen=True, kw_only=True, tag="goal.achieved"):
    """The user says that a goal is achieved."""

    goal_id: UUID
    kind: GoalKind
    contact_id: UUID | None
    achieved_at: datetime
