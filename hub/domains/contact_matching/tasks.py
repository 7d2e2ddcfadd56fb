"""Reactions of matched contacts to events."""

from core.db import Tx
from hub.domains.contact_matching import service
from hub.domains.events.schemas import Event


async def forget(tx: Tx, event: Event) -> None:
    """Forget who a user is in others' address books, and others in theirs."""
    if event.user_id is not None:
        await service.forget_matches(tx, event.user_id)
