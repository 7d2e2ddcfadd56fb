"""Achievements, their rules and how far one has come."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from hub.domains.streaks.schemas import StreakKind

AchievementTier = Literal["bronze", "silver", "gold", "platinum"]
Target = Annotated[int, Meta(ge=1, le=1_000_000)]


class EventCount(Struct, frozen=True, kw_only=True, tag="event_count", tag_field="type"):
    """So many events of a type, of which the user is the author."""

    event_type: Annotated[str, Meta(examples=["ring.tapped"])]
    target: Target


class StreakLength(Struct, frozen=True, kw_only=True, tag="streak_length", tag_field="type"):
    """So many days in a row."""

    kind: StreakKind
    target: Target


AnyRule = EventCount | StreakLength


class StoredAchievement(Struct, frozen=True):
    """An achievement as its row has it; `rule` is JSON."""

    id: UUID
    code: str
    name: str
    description: str
    tier: AchievementTier
    parent_id: UUID | None
    rule: str
    points: int
    icon: str


class Achievement(Struct, frozen=True):
    """Something to achieve; the same for everybody."""

    id: UUID
    code: Annotated[str, Meta(examples=["first_tap"])]
    name: Annotated[str, Meta(examples=["First tap"])]
    description: Annotated[str, Meta(examples=["Tap your ring once."])]
    tier: AchievementTier
    parent_id: Annotated[UUID | None, Meta(examples=[None])]
    """The step before it."""
    rule: AnyRule
    points: int
    icon: Annotated[str, Meta(examples=["ring"])]


class Achievements(Struct, frozen=True):
    """All that can be achieved."""

    items: list[Achievement]


class Progress(Struct, frozen=True):
    """How far the signed-in user has come with an achievement."""

    achievement_id: UUID
    code: Annotated[str, Meta(examples=["first_tap"])]
    name: Annotated[str, Meta(examples=["First tap"])]
    tier: AchievementTier
    points: int
    current_value: int
    target_value: int
    percent: int
    last_increment_at: datetime
    unlocked_at: datetime | None


class OwnAchievements(Struct, frozen=True):
    """What the signed-in user has achieved, and what they have begun, the nearest first."""

    unlocked: list[Progress]
    begun: list[Progress]
