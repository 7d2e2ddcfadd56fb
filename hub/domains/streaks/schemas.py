"""Days in a row as the REST interface shows them."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

StreakKind = Literal["contact", "login"]


class OpenStreak(Struct, frozen=True):
    """The streak that an activity may prolong, as its row has it."""

    id: UUID
    started_on: date
    length: int
    max_length: int
    last_event_at: datetime


class StoredStreak(Struct, frozen=True):
    """The latest streak of a kind."""

    kind: StreakKind
    started_on: date
    length: int
    max_length: int
    last_event_at: datetime


class Streak(Struct, frozen=True):
    """Days in a row on which the user was in contact with somebody, or was here."""

    kind: StreakKind
    current_length: int
    """0 when a day was missed."""
    max_length: int
    """The longest one so far."""
    started_on: date | None
    """Of the current one."""
    last_event_at: datetime


class Streaks(Struct, frozen=True):
    """All of a user's streaks; a kind without any day is absent."""

    items: list[Streak]


class Activity(Struct, frozen=True):
    """When somebody was here, whose time zone is that."""

    user_id: UUID
    at: datetime
