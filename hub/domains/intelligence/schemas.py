"""What interactions show of a relationship, as the REST interface tells it."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from hub.domains.interactions.schemas import Direction, InteractionKind

Trend = Literal["more", "same", "less"]
Weekday = Annotated[int, Meta(ge=1, le=7)]
Hour = Annotated[int, Meta(ge=0, le=23)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Contacted(Struct, frozen=True):
    """One interaction, as far as rhythms show in it."""

    occurred_at: datetime
    kind: InteractionKind
    direction: Direction


class ContactProfile(Struct, frozen=True, kw_only=True):
    """Who it is about."""

    contact_id: UUID
    full_name: str
    company: str | None
    job_title: str | None
    tags: list[str]
    strength: float


class FrequencyAnalysis(Struct, frozen=True, kw_only=True):
    """How often; days are the user's. `trend` compares 90 days with the 90 before them."""

    interactions: int
    """Of those looked at: the latest 2000."""
    first_at: datetime | None
    last_at: datetime | None
    last_30_days: int
    last_90_days: int
    last_365_days: int
    days: int
    """On how many days."""
    median_gap_days: float | None
    """Between one of these days and the next; null before the second."""
    trend: Trend | None
    """Null where there are fewer than four in these 180 days, or none before them."""


class ChannelShare(Struct, frozen=True, kw_only=True):
    """How much of it goes over one channel."""

    kind: InteractionKind
    interactions: int
    share: Share
    last_at: datetime


class DirectionMix(Struct, frozen=True, kw_only=True):
    """Who writes and calls.

    `balance`: 1 if always the user, -1 if always the contact; null before the third time.
    """

    inbound: int
    outbound: int
    mutual: int
    balance: Annotated[float, Meta(ge=-1, le=1)] | None


class UsualTime(Struct, frozen=True, kw_only=True):
    """When, by the user's clock; null where no weekday or hour is a habit.

    A habit is what was so on a third of at least five days of contact, and more often than any
    other.
    """

    weekday: Weekday | None
    """1 is Monday."""
    hour: Hour | None
    by_weekday: list[int]
    """Seven counts of days of contact, from Monday."""
    by_hour: list[int]
    """24 counts: on how many days in this hour."""


class ExpectedNext(Struct, frozen=True, kw_only=True):
    """On which day the next one would be, if the rhythm goes on.

    Of the gaps between the latest days of contact three in five lie in the interval.
    """

    expected_on: date
    earliest_on: date
    latest_on: date
    is_overdue: bool
    """The interval has passed."""
    confidence: Share
    """Nearer to 1 the more gaps there are and the more they are alike; falls while overdue."""
    gaps: int
    """How many it follows from."""


class MutualContact(Struct, frozen=True):
    """Somebody whom both know: by a link of the address book, or from being there together."""

    contact_id: UUID
    full_name: str
    company: str | None
    link_strength: float | None
    shared_interactions: int


class ContactIntelligence(Struct, frozen=True, kw_only=True):
    """What one's interactions show of a contact. By rules alone: no language model is asked."""

    profile: ContactProfile
    frequency: FrequencyAnalysis
    channels: list[ChannelShare]
    directions: DirectionMix
    usual_time: UsualTime
    expected_next: ExpectedNext | None
    """Null before the fourth day of contact."""
    mutual_contacts: list[MutualContact]
    """At most 20, the closest first."""
