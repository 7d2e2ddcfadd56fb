"""Reactions of touches to events, and what they do from time to time."""

from collections.abc import Callable
from uuid import UUID

import msgspec

from core.crypto import FieldCipher
from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.touches import service


class _Tapped(msgspec.Struct, frozen=True):
    """What is needed of ring.tapped."""

    tap_id: UUID


async def pair(cipher: Callable[[], FieldCipher], tx: Tx, event: Event) -> None:
    """Find the other half of a touch that a ring has recorded."""
    tapped = msgspec.json.decode(event.payload, type=_Tapped)
    await service.pair(tx, tapped.tap_id, cipher())


async def ask(cipher: Callable[[], FieldCipher], tx: Tx) -> bool:
    """Ask the owners of rings that are said to have been touched."""
    return await service.ask_owners(tx, cipher())


async def expire(tx: Tx) -> bool:
    """Give up halves that waited for a day."""
    return await service.expire(tx)
