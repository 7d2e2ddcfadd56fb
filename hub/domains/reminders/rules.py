"""When reminders are due: local times and what they are in UTC. Pure.

A rule counts on the clock on the wall, so that nine o'clock stays nine o'clock. Where a time does
not exist because clocks go forward, it is as much later as they go; where it comes twice, the first
counts (RFC 5545, 3.3.5).
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core import recurrence
from core.errors import DomainError

YEARS_BACK: Final = 1
YEARS_AHEAD: Final = 50
SNOOZE_MAX: Final = timedelta(days=366)
# Clocks have been set back by up to so much at once; see `following`.
_FOLD_MAX: Final = timedelta(hours=3)


def parse_local(text: str, now: datetime) -> datetime:
    """Return a local time, or raise reminder.time_invalid."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DomainError("reminder.time_invalid", "There is no such time.") from None
    if not now.year - YEARS_BACK <= found.year <= now.year + YEARS_AHEAD:
        raise DomainError("reminder.time_invalid", "It is too far away.")
    return found


def normal_form(rule: str, zone: ZoneInfo) -> str:
    """Return a rule as it is kept, in local time, or raise reminder.recurrence_invalid."""
    try:
        return recurrence.normal_form(recurrence.with_local_end(rule, zone))
    except recurrence.RuleError as why:
        raise DomainError("reminder.recurrence_invalid", str(why)) from None


def first_due(first_local: datetime, rule: str | None, zone: ZoneInfo) -> datetime:
    """Return in UTC when a reminder is due for the first time, or raise.

    With a rule on the first day that it names, from the given one on.
    """
    if rule is None:
        return moment_of(first_local, zone)
    try:
        parsed = recurrence.parse(rule, first_local)
    except recurrence.RuleError as why:
        raise DomainError("reminder.recurrence_invalid", str(why)) from None
    found = recurrence.next_time(parsed, first_local, first_local - timedelta(microseconds=1))
    if found is None:
        raise DomainError("reminder.recurrence_invalid", "It names no day in the next ten years.")
    return moment_of(found, zone)


def following(
    first_local: datetime, rule: str | None, zone: ZoneInfo, after: datetime
) -> datetime | None:
    """Return the first occurrence after a moment, in UTC; None: there is no other one."""
    if rule is None:
        return None
    parsed = recurrence.parse(rule, first_local)
    # In an hour that comes twice, the clock on the wall has shown this time before.
    local = after.astimezone(zone).replace(tzinfo=None) - _FOLD_MAX
    while True:
        found = recurrence.next_time(parsed, first_local, local)
        if found is None or moment_of(found, zone) > after:
            return None if found is None else moment_of(found, zone)
        local = found


def moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return in UTC what a clock on the wall shows; that `fold` is 0 says which of two."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)
