"""Days in a row, in the time zone that the user has when a day is counted."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from core import clock
from core.db import Tx
from hub.domains.accounts import service as accounts
from hub.domains.streaks import queries, rules
from hub.domains.streaks.schemas import StoredStreak, Streak, StreakKind, Streaks

LOOKED_BACK: Final = timedelta(days=2)
VISITS_AT_ONCE: Final = 500
WARNED_AT_ONCE: Final = 500


async def list_own(tx: Tx) -> Streaks:
    """Return the actor's streaks."""
    zone = _zone((await accounts.get_account(tx)).timezone)
    today = rules.day_of(clock.now(), zone)
    stored = await queries.list_latest.all(tx)
    items: list[Streak] = []
    for row in stored:
        length = rules.current_length(row.started_on, row.length, today)
        items.append(_shown(row, length))
    return Streaks(items)


async def count_day(tx: Tx, user_id: UUID, kind: StreakKind, at: datetime) -> int:
    """Count the day of an activity, once; return the length of the streak. A system transaction."""
    timezone = await queries.find_time_zone.first(tx, user_id)
    if timezone is None:
        return 0
    day = rules.day_of(at, _zone(timezone))
    await queries.lock_streaks.run(tx, user_id)
    streak = await queries.find_open.first(tx, user_id, kind)
    if streak is None:
        await queries.begin.run(tx, user_id, kind, day, 1, at)
        return 1
    match rules.effect_of(day, streak.started_on, streak.length):
        case "nothing":
            if at > streak.last_event_at and kind == "login":
                await queries.touch.run(tx, streak.id, at)
            return streak.length
        case "prolongs":
            await queries.prolong.run(tx, streak.id, at)
            return streak.length + 1
        case "precedes":
            await queries.precede.run(tx, streak.id, user_id, kind, day)
            return (await queries.find_open.one(tx, user_id, kind)).length
        case "begins_anew":
            await queries.end.run(tx, streak.id, rules.last_day(streak.started_on, streak.length))
            await queries.begin.run(tx, user_id, kind, day, streak.max_length, at)
            return 1


async def list_visits(tx: Tx, now: datetime) -> list[tuple[UUID, datetime]]:
    """Return who was here since that was last counted, the earliest first. A system transaction."""
    rows = await queries.list_visits.all(tx, now - LOOKED_BACK, VISITS_AT_ONCE)
    return [(row.user_id, row.at) for row in rows]


async def warn(tx: Tx, now: datetime) -> bool:
    """Tell whose streaks end with today; says whether more are left. A system transaction."""
    names = await queries.list_time_zones.all(tx, now.date())
    evenings = {name: rules.evening(now, _zone(name)) for name in names}
    ending = [(name, *evening) for name, evening in evenings.items() if evening is not None]
    if not ending:
        return False
    zones, days, midnights = zip(*ending, strict=True)
    warned = await queries.warn.run(
        tx, list(zones), list(days), list(midnights), rules.LENGTH_MIN, WARNED_AT_ONCE
    )
    return warned == WARNED_AT_ONCE


def _shown(row: StoredStreak, length: int) -> Streak:
    return Streak(
        kind=row.kind,
        current_length=length,
        max_length=row.max_length,
        started_on=row.started_on if length else None,
        last_event_at=row.last_event_at,
    )


def _zone(name: str) -> ZoneInfo:
    # A name that the machine's list has lost since must not end all counting.
    return ZoneInfo(name if accounts.is_time_zone(name) else "UTC")
