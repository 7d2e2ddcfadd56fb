"""Payloads of the events of conversations; the columns that the database's triggers emit."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.messaging.schemas import ConversationKind, MessageKind


class ConversationOpened(Struct, frozen=True, kw_only=True, tag="conversation.opened"):
    """A conversation came into being."""

    conversation_id: UUID
    kind: ConversationKind


class MessageSent(Struct, frozen=True, kw_only=True, tag="message.sent"):
    """A member wrote a message."""

    message_id: UUID
    conversation_id: UUID
    sender_id: UUID
    kind: MessageKind
    body: str | None
    reply_to_id: UUID | None
    created_at: datetime
