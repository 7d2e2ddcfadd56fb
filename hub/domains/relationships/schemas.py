"""The health of relationships as the REST interface shows it, and what it is computed of."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Raw, Struct

Band = Literal["thriving", "stable", "cooling", "cold"]
Trend = Literal["rising", "steady", "falling"]
ComponentName = Literal["recency", "frequency", "reciprocity", "duration"]
Score = Annotated[float, Meta(examples=[83.2])]
Strength = Annotated[float, Meta(examples=[0.27])]


class Component(Struct, frozen=True, kw_only=True):
    """One part of a score: `points` of 100 are `value` times `weight` times 100."""

    name: ComponentName
    value: Annotated[float, Meta(examples=[0.9154])]
    weight: Annotated[float, Meta(examples=[0.4])]
    points: Annotated[float, Meta(examples=[36.6])]
    explanation: str


class RelationshipHealth(Struct, frozen=True, kw_only=True):
    """How a relationship fares.

    `score` is fresh, 0 to 100; `strength` is slow, 0 to 1. `next_touch_at` in the past: overdue.
    """

    contact_id: UUID
    score: Score
    strength: Strength
    band: Band
    trend: Trend
    band_since: datetime
    last_touch_at: datetime | None
    next_touch_at: datetime
    cadence_days: float
    components: list[Component]
    computed_at: datetime


class HealthItem(Struct, frozen=True):
    """A relationship in the list of all, the weakest first."""

    contact_id: UUID
    full_name: str
    score: Score
    strength: Strength
    band: Band
    trend: Trend
    last_touch_at: datetime | None
    next_touch_at: datetime
    computed_at: datetime


class Snapshot(Struct, frozen=True):
    """What a score was on a day; days without one have that of the day before."""

    taken_on: Annotated[date, Meta(examples=["2026-11-21"])]
    score: Annotated[int, Meta(examples=[83])]


class SeriesPoint(Struct, frozen=True):
    """What a score was on the last day of a step, and how low and high it was within the step."""

    taken_on: Annotated[date, Meta(examples=["2026-11-21"])]
    score: Annotated[int, Meta(examples=[83])]
    low: Annotated[int, Meta(examples=[71])]
    high: Annotated[int, Meta(examples=[86])]


class HealthSeries(Struct, frozen=True):
    """Scores at even steps, the oldest first, from the first day that is known."""

    contact_id: UUID
    step_days: Annotated[int, Meta(ge=1, examples=[4])]
    points: list[SeriesPoint]


class Key(Struct, frozen=True):
    """Whose contact."""

    user_id: UUID
    contact_id: UUID


class Values(Struct, frozen=True, kw_only=True):
    """The parts of a score, each 0 to 1."""

    recency: float
    frequency: float
    reciprocity: float
    duration: float


class Components(Struct, frozen=True, kw_only=True):
    """What a score was made of; the JSON of relationship_health.components."""

    values: Values
    weights: Values
    cadence_days: float
    decay_rate: float
    contact_days: int
    """Days with contact, all that are known."""
    inbound_days: int
    outbound_days: int
    hours: float
    """All that are known."""


class HealthRow(Struct, frozen=True):
    """The health of a relationship as the database has it."""

    contact_id: UUID
    score: float
    strength: float
    band: Band
    trend: Trend
    band_since: datetime
    last_touch_at: datetime | None
    next_touch_at: datetime
    components: Raw
    computed_at: datetime


class Past(Struct, frozen=True):
    """What interactions say at a moment, and what is asked of them.

    Faded: each day counts 2^(-age / half-life). The half-life of the first four is four times the
    pace, which is `cadence_days / decay_rate`; that of the lasting ones a year.
    """

    user_id: UUID
    contact_id: UUID
    cadence_days: float
    decay_rate: float
    recency_weight: float
    frequency_weight: float
    reciprocity_weight: float
    duration_weight: float
    since: datetime
    """The first contact; without any, when the contact was put where contact is wanted."""
    last_touch_at: datetime | None
    contact_days: float
    inbound: float
    outbound: float
    minutes: float
    lasting_days: float
    lasting_minutes: float
    all_days: int
    all_inbound_days: int
    all_outbound_days: int
    all_hours: float
    band: Band | None
    """This and what follows: of the computation before, if there was one."""
    band_since: datetime | None
    fell_at: datetime | None
    baseline: float | None
    told_score: float | None
    told_day_score: int | None
    computed_at: datetime | None


class Assessment(Struct, frozen=True):
    """What a computation makes of a relationship."""

    score: float
    strength: float
    band: Band
    trend: Trend
    components: Components
    next_touch_at: datetime
    band_since: datetime
    fell_at: datetime | None
    baseline: float
    told_score: float
    day_score: int


class Cursor(Struct, frozen=True):
    """Where the daily pass is in a shard."""

    shard: int
    after_user_id: UUID | None
    after_contact_id: UUID | None


class LateShard(Struct, frozen=True):
    """A shard that is behind; `calculated_on` is 0001-01-01 if it was never calculated."""

    shard: int
    calculated_on: date
