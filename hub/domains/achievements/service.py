"""Achievements: a list for everybody, and what events and streaks have brought each user."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.achievements import queries, rules
from hub.domains.achievements.schemas import (
    Achievement,
    Achievements,
    AnyRule,
    OwnAchievements,
    StoredAchievement,
)
from hub.domains.events.schemas import Event
from hub.domains.streaks import service as streaks
from hub.domains.streaks.schemas import StreakKind

PURGED_AT_ONCE: Final = 5000
_RULE: Final = msgspec.json.Decoder(AnyRule)


class _Tapped(msgspec.Struct, frozen=True):
    """What tells the day of an event; only taps have it."""

    tapped_at: datetime | None = None


async def list_all(tx: Tx) -> Achievements:
    """Return all that can be achieved, by their codes."""
    return Achievements([_shown(row) for row in await queries.list_achievements.all(tx)])


async def list_own(tx: Tx) -> OwnAchievements:
    """Return what the actor has achieved and begun."""
    found = await queries.list_progress.all(tx)
    return OwnAchievements(
        unlocked=[progress for progress in found if progress.unlocked_at is not None],
        begun=[progress for progress in found if progress.unlocked_at is None],
    )


async def count_event(tx: Tx, event: Event, user_id: UUID) -> None:
    """Count an event for its user, once however often it comes. A system transaction."""
    if event.type in rules.CONTACT_EVENTS:
        await count_day(tx, user_id, "contact", _happened_at(event))
    counted = [
        (row.id, rule.target) for row, rule in await _rules(tx) if rules.counts(rule, event.type)
    ]
    if counted:
        achievements, targets = zip(*counted, strict=True)
        await queries.count_event.run(
            tx, event.id, user_id, list(achievements), list(targets), event.occurred_at
        )


async def count_day(tx: Tx, user_id: UUID, kind: StreakKind, at: datetime) -> None:
    """Count the day of an activity, and what its streak achieves. A system transaction."""
    length = await streaks.count_day(tx, user_id, kind, at)
    measured = [
        (row.id, rule.target) for row, rule in await _rules(tx) if rules.measures(rule, kind)
    ]
    if length and measured:
        achievements, targets = zip(*measured, strict=True)
        await queries.measure_streak.run(tx, user_id, list(achievements), list(targets), length, at)


async def count_visits(tx: Tx, now: datetime) -> bool:
    """Count the days on which users were here; says whether more are left. A system transaction."""
    visits = await streaks.list_visits(tx, now)
    for user_id, at in visits:
        await count_day(tx, user_id, "login", at)
    return len(visits) == streaks.VISITS_AT_ONCE


async def purge_increments(tx: Tx) -> bool:
    """Forget which events were counted a month ago; says whether some are left."""
    return await queries.purge_increments.run(tx, PURGED_AT_ONCE) == PURGED_AT_ONCE


async def _rules(tx: Tx) -> list[tuple[StoredAchievement, AnyRule]]:
    return [(row, _RULE.decode(row.rule)) for row in await queries.list_counted.all(tx)]


def _happened_at(event: Event) -> datetime:
    """Return when it was, not when it came: rings and gateways keep taps for days."""
    tapped_at = msgspec.json.decode(event.payload, type=_Tapped).tapped_at
    return min(tapped_at or event.occurred_at, event.occurred_at)


def _shown(row: StoredAchievement) -> Achievement:
    return Achievement(
        id=row.id,
        code=row.code,
        name=row.name,
        description=row.description,
        tier=row.tier,
        parent_id=row.parent_id,
        rule=_RULE.decode(row.rule),
        points=row.points,
        icon=row.icon,
    )
