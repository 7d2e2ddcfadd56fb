"""Nudges: whom the hub reminds of in the morning, once for each occasion, and what came of it."""

from datetime import date
from itertools import groupby
from typing import Final
from uuid import UUID

from msgspec.structs import asdict

from core import clock
from core.db import Tx
from core.errors import DomainError
from hub.domains.nudges import queries, rules
from hub.domains.nudges.schemas import (
    ClosedStatus,
    Morning,
    Nudge,
    NudgeKind,
    NudgeRow,
    NudgeStatus,
)
from hub.http import page

NUDGES_LISTING: Final = "nudges"
MORNINGS_MAX: Final = 200
"""Users of one transaction."""
KEPT_DAYS: Final = 365
FORGOTTEN_MAX: Final = 1000
"""Nudges of one transaction."""
A_MORNING_MAX: Final = 5
"""Of a kind that could be many: the others come on the next mornings."""


async def list_nudges(
    tx: Tx,
    *,
    status: NudgeStatus,
    kind: NudgeKind | None,
    limit: int,
    cursor: str | None,
) -> page.Page[Nudge]:
    """Return the actor's nudges, the newest first."""
    before = page.decode_cursor(cursor, NUDGES_LISTING, tuple[UUID])
    rows = await queries.list_nudges.all(tx, status, kind, before and before[0], limit + 1)
    shown = [_shown(row) for row in rows]
    return page.paginate(shown, limit, NUDGES_LISTING, lambda nudge: (nudge.id,))


async def get_nudge(tx: Tx, nudge_id: UUID) -> Nudge:
    """Return a nudge; raises nudge.not_found."""
    row = await queries.find_nudge.first(tx, nudge_id)
    if row is None:
        raise DomainError("nudge.not_found")
    return _shown(row)


async def close_nudge(tx: Tx, nudge_id: UUID, status: ClosedStatus) -> Nudge:
    """Note what came of a nudge; again is harmless."""
    await queries.close_nudge.run(tx, nudge_id, status)
    return await get_nudge(tx, nudge_id)


async def look(tx: Tx) -> bool:
    """Find whom to remind of for users whose morning has come; a system transaction.

    Returns whether there may be more users.
    """
    now = clock.now()
    mornings = await queries.take_mornings.all(tx, now, rules.MORNING_HOUR, MORNINGS_MAX)
    if not mornings:
        return False
    users = [morning.user_id for morning in mornings]
    # What is of this day alone comes last: it stands first in the list.
    await queries.add_job_changes.run(tx, users, now)
    ends = [morning.ends_at for morning in mornings]
    await queries.add_of_health.run(tx, users, ends, now, A_MORNING_MAX)
    # Around the world it is one of at most three days.
    for day, there in groupby(sorted(mornings, key=_day), key=_day):
        ids = [morning.user_id for morning in there]
        await queries.add_birthdays.run(tx, ids, day, rules.birthdays_on(day))
    return len(mornings) == MORNINGS_MAX


async def forget(tx: Tx) -> bool:
    """Remove nudges that are a year old, open or not; a system transaction.

    Returns whether there may be more.
    """
    gone = await queries.forget_nudges.run(tx, clock.now(), KEPT_DAYS, FORGOTTEN_MAX)
    return gone == FORGOTTEN_MAX


def _day(morning: Morning) -> date:
    return morning.day


def _shown(row: NudgeRow) -> Nudge:
    return Nudge(**asdict(row), text=rules.text_of(row.kind, row.full_name))
