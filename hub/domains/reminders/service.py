"""Reminders: once or by a rule, in the time zone of whoever is reminded."""

from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import UNSET

from core import clock
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import service as accounts
from hub.domains.contacts import service as contacts
from hub.domains.reminders import queries, rules
from hub.domains.reminders.schemas import (
    REMINDERS_MAX,
    ChangeReminder,
    NewReminder,
    Reminder,
    ReminderStatus,
    Schedule,
)
from hub.http import page

REMINDERS_LISTING: Final = "reminders"
FIRED_AT_ONCE: Final = 500


async def list_reminders(
    tx: Tx,
    *,
    status: ReminderStatus | None,
    contact_id: UUID | None,
    limit: int,
    cursor: str | None,
) -> page.Page[Reminder]:
    """Return the actor's reminders in the order in which they are due."""
    after = page.decode_cursor(cursor, REMINDERS_LISTING, tuple[datetime, UUID])
    rows = await queries.list_reminders.all(
        tx, *(after or (None, None)), status, contact_id, limit + 1
    )
    return page.paginate(
        rows, limit, REMINDERS_LISTING, lambda reminder: (reminder.due_at, reminder.id)
    )


async def get_reminder(tx: Tx, reminder_id: UUID) -> Reminder:
    """Return one of the actor's reminders."""
    reminder = await queries.find_reminder.first(tx, reminder_id)
    if reminder is None:
        raise DomainError("reminder.not_found")
    return reminder


async def add_reminder(tx: Tx, new: NewReminder) -> Reminder:
    """Set a reminder in the account's time zone, or another one."""
    if await queries.count_reminders.one(tx) >= REMINDERS_MAX:
        raise DomainError("reminder.limit")
    zone = new.timezone or (await accounts.get_account(tx)).timezone
    first_local = rules.parse_local(new.due_local, clock.now())
    clocks = _zone(zone)
    rule = None if new.recurrence is None else rules.normal_form(new.recurrence, clocks)
    due_at = rules.first_due(first_local, rule, clocks)
    await contacts.hold_found(tx, new.contact_id)
    reminder_id = await queries.add_reminder.one(
        tx, new.title, new.note, new.contact_id, zone, first_local.isoformat(), rule, due_at
    )
    return await get_reminder(tx, reminder_id)


async def change_reminder(tx: Tx, reminder_id: UUID, change: ChangeReminder) -> Reminder:
    """Change what is given; another time, zone or rule begins the reminder anew."""
    await contacts.hold_found(tx, None if change.contact_id is UNSET else change.contact_id)
    schedule = await _lock(tx, reminder_id)
    reminder = await get_reminder(tx, reminder_id)
    await queries.change_words.run(
        tx,
        reminder_id,
        reminder.title if change.title is UNSET else change.title,
        reminder.note if change.note is UNSET else change.note,
        reminder.contact_id if change.contact_id is UNSET else change.contact_id,
    )
    if all(given is UNSET for given in (change.due_local, change.timezone, change.recurrence)):
        return await get_reminder(tx, reminder_id)
    zone = schedule.timezone if change.timezone is UNSET else change.timezone
    clocks = _zone(zone)
    first_local = datetime.fromisoformat(schedule.first_local)
    if change.due_local is not UNSET:
        first_local = rules.parse_local(change.due_local, clock.now())
    rule = schedule.recurrence
    if change.recurrence is not UNSET:
        rule = change.recurrence and rules.normal_form(change.recurrence, clocks)
    due_at = rules.first_due(first_local, rule, clocks)
    await queries.reschedule.run(tx, reminder_id, zone, first_local.isoformat(), rule, due_at)
    return await get_reminder(tx, reminder_id)


async def complete(tx: Tx, reminder_id: UUID) -> Reminder:
    """Say that the open occurrence is done: the next one that is still to come is open then.

    What was missed meanwhile is not caught up with.
    """
    schedule = await _lock_open(tx, reminder_id)
    now = clock.now()
    following = rules.following(
        datetime.fromisoformat(schedule.first_local),
        schedule.recurrence,
        _zone(schedule.timezone),
        max(schedule.due_at, now),
    )
    if following is None:
        await queries.finish.run(tx, reminder_id, "done", now)
    else:
        await queries.advance.run(tx, reminder_id, following, now)
    return await get_reminder(tx, reminder_id)


async def dismiss(tx: Tx, reminder_id: UUID) -> Reminder:
    """End a reminder for good, with all that its rule would still bring."""
    await _lock_open(tx, reminder_id)
    await queries.finish.run(tx, reminder_id, "dismissed", None)
    return await get_reminder(tx, reminder_id)


async def snooze(tx: Tx, reminder_id: UUID, until: datetime) -> Reminder:
    """Tell of the open occurrence again, at another time."""
    await _lock_open(tx, reminder_id)
    now = clock.now()
    if not now < until <= now + rules.SNOOZE_MAX:
        raise DomainError("reminder.time_invalid", "Snooze to a time of the coming year.")
    await queries.snooze.run(tx, reminder_id, until)
    return await get_reminder(tx, reminder_id)


async def remove_reminder(tx: Tx, reminder_id: UUID) -> None:
    """Remove a reminder."""
    if not await queries.remove_reminder.run(tx, reminder_id):
        raise DomainError("reminder.not_found")


async def fire_due(tx: Tx, now: datetime) -> bool:
    """Tell of what is due, each occurrence once; says whether more is. A system transaction."""
    return await queries.fire_due.run(tx, now, FIRED_AT_ONCE) == FIRED_AT_ONCE


async def _lock(tx: Tx, reminder_id: UUID) -> Schedule:
    schedule = await queries.lock_schedule.first(tx, reminder_id)
    if schedule is None:
        raise DomainError("reminder.not_found")
    return schedule


async def _lock_open(tx: Tx, reminder_id: UUID) -> Schedule:
    schedule = await _lock(tx, reminder_id)
    if schedule.status != "open":
        raise DomainError("reminder.closed")
    return schedule


def _zone(name: str) -> ZoneInfo:
    if not accounts.is_time_zone(name):
        raise DomainError("reminder.time_invalid", "There is no such time zone.")
    return ZoneInfo(name)
