"""Reactions of achievements to events, and what they do from time to time."""

from core import clock
from core.db import Tx
from hub.domains.achievements import service
from hub.domains.events.schemas import Event


async def count(tx: Tx, event: Event) -> None:
    """Count an event for its author."""
    if event.user_id is not None:
        await service.count_event(tx, event, event.user_id)


async def count_visits(tx: Tx) -> bool:
    """Count the days on which users were here."""
    return await service.count_visits(tx, clock.now())


async def purge_increments(tx: Tx) -> bool:
    """Forget which events were counted long ago."""
    return await service.purge_increments(tx)
