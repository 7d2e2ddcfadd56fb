"""Direct conversations and their messages."""

from datetime import datetime
from uuid import UUID

from core.db import Tx
from core.errors import DomainError
from hub.domains.messaging import queries
from hub.domains.messaging.schemas import Conversation, Message, NewMessage
from hub.http import page

CONVERSATIONS_LISTING = "conversations"
MESSAGES_LISTING = "messages"


async def open_direct(tx: Tx, partner_id: UUID) -> tuple[Conversation, bool]:
    """Return the actor's conversation with a partner, and whether it is new."""
    opened = await queries.open_direct.one(tx, partner_id)
    return await get_conversation(tx, opened.id), opened.created


async def get_conversation(tx: Tx, conversation_id: UUID) -> Conversation:
    """Return a conversation of the actor; of anybody else's it is as if it did not exist."""
    conversation = await queries.find_conversation.first(tx, conversation_id)
    if conversation is None:
        raise DomainError("conversation.not_found")
    return conversation


async def list_conversations(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Conversation]:
    """Return the actor's conversations, the latest talk first."""
    before = page.decode_cursor(cursor, CONVERSATIONS_LISTING, tuple[datetime, UUID])
    rows = await queries.list_conversations.all(tx, *(before or (None, None)), limit + 1)
    return page.paginate(rows, limit, CONVERSATIONS_LISTING, _position)


async def list_messages(
    tx: Tx, conversation_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Message]:
    """Return the messages of one of the actor's conversations, newest first."""
    before = page.decode_cursor(cursor, MESSAGES_LISTING, tuple[UUID])
    rows = await queries.list_messages.all(
        tx, conversation_id, before[0] if before else None, limit + 1
    )
    if not rows:
        # Only now the empty and the foreign conversation need to be told apart.
        await get_conversation(tx, conversation_id)
    return page.paginate(rows, limit, MESSAGES_LISTING, lambda message: (message.id,))


async def send_message(tx: Tx, conversation_id: UUID, new: NewMessage) -> tuple[Message, bool]:
    """Write a message of the actor; with a client key used before, return that message instead."""
    if new.reply_to_id is not None:
        await get_conversation(tx, conversation_id)
        await _check_reply(tx, conversation_id, new.reply_to_id)
    message = await queries.insert_message.first(
        tx, conversation_id, new.body, new.reply_to_id, new.client_key
    )
    if message is not None:
        return message, True
    # Nothing was written: either the conversation is not the actor's, or the key is known.
    await get_conversation(tx, conversation_id)
    earlier = await queries.find_by_client_key.one(tx, new.client_key)
    if (earlier.conversation_id, earlier.body) != (conversation_id, new.body):
        raise DomainError("request.conflict", "The client_key belongs to another message.")
    return earlier, False


async def _check_reply(tx: Tx, conversation_id: UUID, message_id: UUID) -> None:
    if await queries.find_message_id.first(tx, message_id, conversation_id) is None:
        found = {
            "source": "body",
            "field": "reply_to_id",
            "message": "Not a message of this conversation",
        }
        raise DomainError("request.invalid", errors=[found])


def _position(conversation: Conversation) -> tuple[datetime, UUID]:
    return conversation.last_message_at or conversation.created_at, conversation.id
