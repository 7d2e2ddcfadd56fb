"""Reactions of profiles to events."""

from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.profiles import service


async def mark_active(tx: Tx, event: Event) -> None:
    """Remember that the event's user was there."""
    if event.user_id is not None:
        await service.mark_active(tx, event.user_id, event.occurred_at)
