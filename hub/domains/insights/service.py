"""Insights: what the hub notices by rules, each week, when a goal is set and when people meet."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from core import clock
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import service as accounts
from hub.domains.insights import queries, rules
from hub.domains.insights.schemas import ActiveGoal, Found, Insight, InsightKind, Named, Way
from hub.http import page

INSIGHTS_LISTING: Final = "insights"
USERS_AT_ONCE: Final = 20
_INTERESTS_MAX: Final = 20
_GOALS_MAX: Final = 50
_PROFILES_MAX: Final = 2000
_WAYS_MAX: Final = 10
_HOPS_MAX: Final = 4
_DAY: Final = timedelta(days=1)
_KNOWN_FROM: Final = 0.3
"""Who is known better than that needs no introduction."""


async def list_insights(
    tx: Tx, *, kind: InsightKind | None, limit: int, cursor: str | None
) -> page.Page[Insight]:
    """Return the actor's insights that are not dismissed, the newest first."""
    before = page.decode_cursor(cursor, INSIGHTS_LISTING, tuple[UUID])
    rows = await queries.list_insights.all(tx, before[0] if before else None, kind, limit + 1)
    return page.paginate(rows, limit, INSIGHTS_LISTING, lambda insight: (insight.id,))


async def get_insight(tx: Tx, insight_id: UUID) -> Insight:
    """Return one of the actor's insights, also a dismissed one."""
    insight = await queries.find_insight.first(tx, insight_id)
    if insight is None:
        raise DomainError("insight.not_found")
    return insight


async def dismiss(tx: Tx, insight_id: UUID) -> Insight:
    """Show an insight no more; the same fact is not told again."""
    await queries.dismiss.run(tx, insight_id, clock.now())
    return await get_insight(tx, insight_id)


async def act_on(tx: Tx, insight_id: UUID) -> Insight:
    """Note that the actor has done something about an insight."""
    await queries.act_on.run(tx, insight_id, clock.now())
    return await get_insight(tx, insight_id)


async def tell_weekly(tx: Tx, now: datetime) -> bool:
    """Tell those whose week has come; says whether others are left. A system transaction."""
    names = [name for name in await queries.list_time_zones.all(tx) if accounts.is_time_zone(name)]
    weeks = [rules.week_due(now, ZoneInfo(name)) for name in names]
    users = await queries.take_users.all(tx, names, weeks, USERS_AT_ONCE)
    for user_id in users:
        await _tell_all(tx, user_id, now)
    return len(users) == USERS_AT_ONCE


async def tell_of_goal(tx: Tx, user_id: UUID, goal_id: UUID) -> None:
    """Tell whoever set a goal what serves it already. A system transaction."""
    goals = await queries.list_goals.all(tx, user_id, goal_id, 1)
    await _tell(
        tx,
        user_id,
        rules.AT_ONCE,
        rules.paths(await _ways(tx, user_id, goals)),
        await _opportunities(tx, user_id, goals),
    )


async def tell_of_meeting(tx: Tx, user_id: UUID, contact_id: UUID, now: datetime) -> None:
    """Tell what it means that a user had to do with a contact. A system transaction.

    Of a day at most as much as of a week: whoever notes down their last year reads none of it.
    """
    profiles = await queries.list_profiles.all(tx, user_id, 1, contact_id)
    left = rules.AT_ONCE - await queries.count_since.one(tx, user_id, now - _DAY)
    if not profiles or left <= 0:
        return
    [profile] = profiles
    contact = Named(profile.id, profile.name)
    topics = [topic.lower() for topic in profile.topics]
    goals = await queries.list_goals.all(tx, user_id, None, _GOALS_MAX)
    led_to = await queries.list_led_to.all(tx, user_id, contact_id, _WAYS_MAX)
    await _tell(
        tx,
        user_id,
        left,
        rules.returns(
            contact,
            await queries.list_meetings.all(tx, user_id, contact_id, now, rules.MEETINGS_MAX),
            now,
        ),
        rules.paths(Way(goal, contact, 2) for goal in led_to if (goal.strength or 0) < _KNOWN_FROM),
        rules.opportunities(goals, profiles),
        rules.common_interests(
            await queries.list_shared_interests.all(tx, user_id, _INTERESTS_MAX, topics)
            if topics
            else []
        ),
    )


async def _tell_all(tx: Tx, user_id: UUID, now: datetime) -> None:
    goals = await queries.list_goals.all(tx, user_id, None, _GOALS_MAX)
    shared = await queries.list_shared_interests.all(tx, user_id, _INTERESTS_MAX, None)
    rhythms = await queries.list_rhythms.all(tx, user_id, now)
    await _tell(
        tx,
        user_id,
        rules.AT_ONCE,
        rules.anomalies(rhythms, now),
        rules.paths(await _ways(tx, user_id, goals)),
        await _opportunities(tx, user_id, goals),
        rules.common_interests(shared),
    )


async def _opportunities(tx: Tx, user_id: UUID, goals: list[ActiveGoal]) -> list[Found]:
    if not goals:
        return []
    return rules.opportunities(
        goals, await queries.list_profiles.all(tx, user_id, _PROFILES_MAX, None)
    )


async def _ways(tx: Tx, user_id: UUID, goals: list[ActiveGoal]) -> list[Way]:
    ways: list[Way] = []
    sought = [
        (goal, goal.contact_id)
        for goal in goals
        if goal.contact_id and goal.strength is not None and goal.strength < _KNOWN_FROM
    ]
    if len(sought) > _WAYS_MAX:
        told = [reason.rpartition(":")[0] for reason in await queries.list_reasons.all(tx, user_id)]
        sought.sort(key=lambda item: rules.path_of(item[0].id) in told)
    for goal, contact_id in sought[:_WAYS_MAX]:
        first = await queries.find_way.first(tx, user_id, contact_id, _HOPS_MAX)
        if first is not None:
            ways.append(Way(goal, Named(first.id, first.name), first.hops))
    return ways


async def _tell(tx: Tx, user_id: UUID, most: int, *found: Sequence[Found]) -> None:
    told = frozenset(await queries.list_reasons.all(tx, user_id))
    for item in rules.chosen(most, told, *found):
        insight_id = await queries.add_insight.first(
            tx,
            user_id,
            item.kind,
            item.reason,
            item.title,
            item.content,
            item.goal_id,
            item.actionable,
        )
        if insight_id is None:
            continue  # another worker has just told it
        await queries.add_contacts.run(tx, user_id, insight_id, item.contact_ids)
        if item.evidence_ids:
            await queries.add_evidence.run(tx, user_id, insight_id, item.evidence_ids)
