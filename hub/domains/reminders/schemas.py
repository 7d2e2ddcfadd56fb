"""Reminders as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

ReminderStatus = Literal["open", "done", "dismissed"]

REMINDERS_MAX: Final = 5000
# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
Title = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^(?=.*\S)[^\u0000\r\n]*$(?!\n)",
        examples=["Ask Grace how the compiler is coming on"],
    ),
]
Note = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"^[^\u0000]*$")]
LocalTime = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$(?!\n)",
        examples=["2026-12-10T09:00"],
    ),
]
"""A clock on the wall, without an offset: what it means in the reminder's time zone."""
Recurrence = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[A-Za-z0-9=;,+:-]+$(?!\n)",
        examples=["FREQ=WEEKLY;BYDAY=MO"],
    ),
]
"""RRULE (RFC 5545, 3.3.10) by days and longer; it may end by COUNT or UNTIL, local or in UTC."""
TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)",
        examples=["Europe/London"],
    ),
]


class NewReminder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to be reminded of, and when."""

    title: Title
    due_local: LocalTime
    timezone: TimeZone | None = None
    """The account's, if it is left out."""
    recurrence: Recurrence | None = None
    note: Note | None = None
    contact_id: Annotated[UUID | None, Meta(examples=[None])] = None


class ChangeReminder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a reminder; absent fields stay as they are.

    Another time, zone or rule begins the reminder anew: it is open, and not snoozed.
    """

    title: Title | UnsetType = UNSET
    due_local: LocalTime | UnsetType = UNSET
    timezone: TimeZone | UnsetType = UNSET
    recurrence: Recurrence | UnsetType | None = UNSET
    note: Note | UnsetType | None = UNSET
    contact_id: Annotated[UUID | UnsetType | None, Meta(examples=[None])] = UNSET


class Snooze(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when a reminder is to be silent."""

    until: Annotated[datetime, Meta(tz=True)]


class Reminder(Struct, frozen=True):
    """A reminder of the signed-in user."""

    id: UUID
    contact_id: UUID | None
    title: str
    note: str | None
    timezone: str
    recurrence: Annotated[str | None, Meta(examples=["FREQ=WEEKLY;BYDAY=MO"])]
    due_at: datetime
    """The occurrence that is open; of a reminder that is over, its last one."""
    status: ReminderStatus
    completed_at: datetime | None
    """When an occurrence was last done."""
    snoozed_until: datetime | None
    fired_at: datetime | None
    """When the open occurrence was told of, as `reminder.due`."""
    created_at: datetime
    updated_at: datetime


class Schedule(Struct, frozen=True):
    """When a reminder is due, as its row has it."""

    first_local: str
    timezone: str
    recurrence: str | None
    due_at: datetime
    status: ReminderStatus
