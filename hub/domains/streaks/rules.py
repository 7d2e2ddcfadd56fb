"""Which day an activity is of, and what it does to a streak. Pure."""

from datetime import date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

RISK_HOUR: Final = 20
"""From then on the user is told that a streak ends with the day."""
LENGTH_MIN: Final = 3
"""Whoever has come so far would be sorry."""
Effect = Literal["nothing", "prolongs", "precedes", "begins_anew"]


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the day on which somebody in a time zone does something."""
    return at.astimezone(zone).date()


def last_day(started_on: date, length: int) -> date:
    """Return the last day of a streak."""
    return started_on + timedelta(days=length - 1)


def effect_of(day: date, started_on: date, length: int) -> Effect:
    """Return what an activity on a day does, which may be counted after that of the next day."""
    last = last_day(started_on, length)
    if day <= last:
        return "precedes" if day == started_on - timedelta(days=1) else "nothing"
    return "prolongs" if day == last + timedelta(days=1) else "begins_anew"


def current_length(started_on: date, length: int, today: date) -> int:
    """Return how long a streak is; until the end of the day after its last one it lives."""
    return length if today <= last_day(started_on, length) + timedelta(days=1) else 0


def evening(now: datetime, zone: ZoneInfo) -> tuple[date, datetime] | None:
    """Return the day that is about to end in a time zone and when it began; None: not yet."""
    local = now.astimezone(zone)
    if local.hour < RISK_HOUR:
        return None
    return local.date(), datetime.combine(local.date(), datetime.min.time(), zone)
