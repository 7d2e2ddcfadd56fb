"""Reactions to people who meet and write."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.contacts.service import Keys
from hub.domains.encounters import service
from hub.domains.events.schemas import Event


class _Exchanged(msgspec.Struct, frozen=True):
    """What is needed of touch.exchanged."""

    touch_id: UUID


class _Sent(msgspec.Struct, frozen=True):
    """What is needed of message.sent."""

    message_id: UUID
    conversation_id: UUID
    sender_id: UUID
    created_at: datetime


async def record_touch(keys: Callable[[], Keys], tx: Tx, event: Event) -> None:
    """Record a touch as an interaction of the event's user."""
    if event.user_id is not None:
        exchanged = msgspec.json.decode(event.payload, type=_Exchanged)
        await service.record_touch(tx, event.user_id, exchanged.touch_id, keys())


async def record_message(tx: Tx, event: Event) -> None:
    """Record a message as an interaction of those who talk."""
    sent = msgspec.json.decode(event.payload, type=_Sent)
    await service.record_message(
        tx,
        message_id=sent.message_id,
        conversation_id=sent.conversation_id,
        sender_id=sent.sender_id,
        sent_at=sent.created_at,
    )
