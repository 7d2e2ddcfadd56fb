"""Goals: what a user wants of their contacts, until it is achieved or given up."""

from typing import Final
from uuid import UUID

from msgspec import UNSET

from core import clock
from core.db import Conflict, Tx
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.goals import queries, rules
from hub.domains.goals.schemas import (
    GOALS_MAX,
    TAGS_MAX,
    ChangeGoal,
    Goal,
    GoalStatus,
    GoalTag,
    NewGoal,
)
from hub.http import page

GOALS_LISTING: Final = "goals"


async def list_goals(
    tx: Tx, *, status: GoalStatus | None, tag_id: UUID | None, limit: int, cursor: str | None
) -> page.Page[Goal]:
    """Return the actor's goals, the newest first."""
    before = page.decode_cursor(cursor, GOALS_LISTING, tuple[UUID])
    rows = await queries.list_goals.all(
        tx, before[0] if before else None, status, tag_id, limit + 1
    )
    return page.paginate(rows, limit, GOALS_LISTING, lambda goal: (goal.id,))


async def get_goal(tx: Tx, goal_id: UUID) -> Goal:
    """Return one of the actor's goals."""
    goal = await queries.find_goal.first(tx, goal_id)
    if goal is None:
        raise DomainError("goal.not_found")
    return goal


async def add_goal(tx: Tx, new: NewGoal) -> Goal:
    """Set a goal; it is active."""
    if await queries.count_goals.one(tx) >= GOALS_MAX:
        raise DomainError("goal.limit")
    await contacts.hold_found(tx, new.contact_id)
    goal_id = await queries.add_goal.one(
        tx, new.kind, new.intention, new.timeline, new.success_criteria, new.contact_id
    )
    return await get_goal(tx, goal_id)


async def change_goal(tx: Tx, goal_id: UUID, change: ChangeGoal) -> Goal:
    """Change what is given; a state only to one that may follow."""
    await contacts.hold_found(tx, None if change.contact_id is UNSET else change.contact_id)
    await queries.lock_goal.first(tx, goal_id)
    goal = await get_goal(tx, goal_id)
    status = goal.status if change.status is UNSET else change.status
    if not rules.may_become(goal.status, status):
        raise DomainError("goal.status_invalid", f"`{goal.status}` does not become `{status}`.")
    achieved_at = goal.achieved_at
    if status == "achieved" and achieved_at is None:
        achieved_at = clock.now()
    await queries.change_goal.run(
        tx,
        goal_id,
        goal.kind if change.kind is UNSET else change.kind,
        goal.intention if change.intention is UNSET else change.intention,
        goal.timeline if change.timeline is UNSET else change.timeline,
        goal.success_criteria if change.success_criteria is UNSET else change.success_criteria,
        goal.contact_id if change.contact_id is UNSET else change.contact_id,
        status,
        achieved_at,
    )
    return await get_goal(tx, goal_id)


async def remove_goal(tx: Tx, goal_id: UUID) -> None:
    """Remove a goal; paths that were kept for it stay."""
    if not await queries.remove_goal.run(tx, goal_id):
        raise DomainError("goal.not_found")


async def list_tags(tx: Tx) -> list[GoalTag]:
    """Return all tags by their names."""
    return await queries.list_tags.all(tx)


async def tag_goal(tx: Tx, goal_id: UUID, tag_id: UUID) -> None:
    """Give a goal a tag; again is harmless."""
    await queries.lock_goal.first(tx, goal_id)
    goal = await get_goal(tx, goal_id)
    if tag_id in goal.tag_ids:
        return
    if len(goal.tag_ids) >= TAGS_MAX:
        raise DomainError("goal.tag_limit")
    try:
        await queries.tag_goal.run(tx, goal_id, tag_id)
    except Conflict:
        raise DomainError("goal.tag_not_found") from None


async def untag_goal(tx: Tx, goal_id: UUID, tag_id: UUID) -> None:
    """Take a tag off a goal; again is harmless."""
    await get_goal(tx, goal_id)
    await queries.untag_goal.run(tx, goal_id, tag_id)
