"""Insights as the REST interface shows them, and the facts that rules make them of."""

from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

InsightKind = Literal["connection_path", "common_interest", "opportunity", "suggestion", "anomaly"]

NEWS_MAX: Final = timedelta(days=2)
"""What happened longer ago is told weekly, if at all."""


class Insight(Struct, frozen=True):
    """Something that the hub has noticed about whom the user knows."""

    id: UUID
    kind: InsightKind
    title: Annotated[str, Meta(examples=["Ada and Grace care about compilers"])]
    content: Annotated[
        str,
        Meta(examples=["Ada Lovelace and Grace Hopper both care about compilers. Introduce them?"]),
    ]
    actionable: bool
    contact_ids: list[UUID]
    goal_id: UUID | None
    """The goal that it serves."""
    interaction_ids: list[UUID]
    """The interactions that show it, the latest first."""
    dismissed_at: datetime | None
    acted_on_at: datetime | None
    created_at: datetime


class Named(Struct, frozen=True):
    """A contact of the user."""

    id: UUID
    name: str


class FirstHop(Struct, frozen=True):
    """A contact over whom it is so many hops to somebody."""

    id: UUID
    name: str
    hops: int


class SharedInterest(Struct, frozen=True):
    """A topic that several contacts care about, the dearest of them first."""

    topic: str
    contact_ids: list[UUID]
    names: list[str]


class ActiveGoal(Struct, frozen=True):
    """A goal that is not achieved yet; `strength` is that of its contact."""

    id: UUID
    kind: str
    intention: str
    contact_id: UUID | None
    contact_name: str | None
    strength: float | None


class Profile(Struct, frozen=True):
    """What of a contact may serve a goal."""

    id: UUID
    name: str
    company: str | None
    job_title: str | None
    topics: list[str]


class Rhythm(Struct, frozen=True):
    """How often a contact is met, and when last; `gap_days` is the median of a year."""

    contact_id: UUID
    name: str
    gap_days: float
    last_at: datetime
    last_interaction_id: UUID


class Meeting(Struct, frozen=True):
    """When the user had to do with a contact."""

    id: UUID
    occurred_at: datetime


class Way(Struct, frozen=True):
    """The first one on the way to a goal's contact."""

    goal: ActiveGoal
    first: Named
    length: int


class Found(Struct, frozen=True, kw_only=True):
    """An insight before it is written. `reason` is the fact: the same one is told once."""

    kind: InsightKind
    reason: str
    title: str
    content: str
    contact_ids: list[UUID]
    goal_id: UUID | None = None
    actionable: bool = True
    evidence_ids: list[UUID] = []
    """Interactions that show it."""


class ZoneWeek(Struct, frozen=True):
    """A time zone, and the Monday of the week whose insights are due there."""

    timezone: str
    week: date
