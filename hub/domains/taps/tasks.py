"""Reactions of taps to events."""

from datetime import datetime

import msgspec

from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.taps import service


class _Withdrawn(msgspec.Struct, frozen=True):
    """What is needed of consent.withdrawn."""

    withdrawn_at: datetime


async def forget_places(tx: Tx, event: Event) -> None:
    """Forget where the taps were of a user who no longer lets that be kept."""
    if event.user_id is not None:
        withdrawn = msgspec.json.decode(event.payload, type=_Withdrawn)
        await service.forget_places(tx, event.user_id, withdrawn.withdrawn_at)
