"""Reactions of paths to events, and what they do from time to time."""

from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.paths import service


async def forget_person(tx: Tx, event: Event) -> None:
    """Let no kept path lead over whoever took their word back."""
    if event.user_id is not None:
        await service.forget_person(tx, event.user_id)


async def purge(tx: Tx) -> bool:
    """Forget searches and changes that are too old to matter."""
    return await service.purge(tx)
