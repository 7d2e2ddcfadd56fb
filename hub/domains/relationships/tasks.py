"""Reactions of relationships to events, and what they do from time to time."""

from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.events.schemas import Event
from hub.domains.relationships import service


class _About(msgspec.Struct, frozen=True):
    """What is needed of events about a contact."""

    contact_id: UUID | None


class _Merged(msgspec.Struct, frozen=True):
    """What is needed of contact.merged and contact.unmerged."""

    kept_id: UUID
    merged_id: UUID


async def refresh(tx: Tx, event: Event) -> None:
    """Compute the health of the relationship that an event is about."""
    about = msgspec.json.decode(event.payload, type=_About)
    if event.user_id is not None and about.contact_id is not None:
        await service.refresh(tx, event.user_id, about.contact_id)


async def refresh_merged(tx: Tx, event: Event) -> None:
    """Compute the health of two contacts whose interactions went from one to the other."""
    merged = msgspec.json.decode(event.payload, type=_Merged)
    if event.user_id is not None:
        for contact_id in sorted((merged.kept_id, merged.merged_id)):
            await service.refresh(tx, event.user_id, contact_id)


async def recalculate(tx: Tx) -> bool:
    """Do a batch of the daily pass."""
    return await service.recalculate(tx)


async def forget_snapshots(tx: Tx) -> bool:
    """Drop snapshots that are two years old."""
    return await service.forget_snapshots(tx)
