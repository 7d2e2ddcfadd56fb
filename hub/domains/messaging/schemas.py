"""Conversations and messages as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

ConversationKind = Literal["direct", "group", "external"]
MessageKind = Literal["text", "video", "voice", "system"]
Body = Annotated[
    str,
    # PostgreSQL's text cannot hold U+0000; a message of blanks says nothing.
    Meta(min_length=1, max_length=4000, pattern=r"^(?=[\s\S]*\S)[^\u0000]*$"),
]
ClientKey = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$(?!\n)")]


class OpenConversation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the direct conversation with another user."""

    partner_id: UUID


class NewMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to send. `client_key`: the app's own id; the same key never makes two messages."""

    body: Body
    client_key: ClientKey | None = None
    reply_to_id: UUID | None = None


class Message(Struct, frozen=True):
    """A message as every member sees it."""

    id: UUID
    conversation_id: UUID
    sender_id: UUID
    kind: MessageKind
    body: str | None
    reply_to_id: UUID | None
    client_key: str | None
    created_at: datetime


class Conversation(Struct, frozen=True):
    """A conversation of the signed-in user; `partner_id` is the other member of a direct one."""

    id: UUID
    kind: ConversationKind
    partner_id: UUID | None
    last_message_at: datetime | None
    created_at: datetime


class OpenedConversation(Struct, frozen=True):
    """What the database answers to opening: the conversation, and whether it is new."""

    id: UUID
    created: bool
