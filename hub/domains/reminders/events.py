"""Payload of the event of reminders; written by migrations/objects/events.sql."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class ReminderDue(Struct, frozen=True, kw_only=True, tag="reminder.due"):
    """The time has come; said once for each occurrence, and once more after each snooze."""

    reminder_id: UUID
    contact_id: UUID | None
    title: str
    due_at: datetime
    snoozed_until: datetime | None
