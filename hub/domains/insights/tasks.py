"""Reactions of insights to events, and what they do from time to time."""

from uuid import UUID

import msgspec

from core import clock
from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.insights import service


class _Set(msgspec.Struct, frozen=True):
    """What is needed of goal.set."""

    goal_id: UUID


class _Recorded(msgspec.Struct, frozen=True):
    """What is needed of interaction.recorded."""

    contact_id: UUID | None


async def look_at_meeting(tx: Tx, event: Event) -> None:
    """Tell what follows from having had to do with somebody."""
    contact_id = msgspec.json.decode(event.payload, type=_Recorded).contact_id
    if event.user_id is not None and contact_id is not None:
        await service.tell_of_meeting(tx, event.user_id, contact_id, clock.now())


async def look_at_goal(tx: Tx, event: Event) -> None:
    """Tell what serves a new goal already."""
    if event.user_id is not None:
        goal = msgspec.json.decode(event.payload, type=_Set)
        await service.tell_of_goal(tx, event.user_id, goal.goal_id)


async def tell_weekly(tx: Tx) -> bool:
    """Tell those for whom it has become Monday, six o'clock."""
    return await service.tell_weekly(tx, clock.now())
