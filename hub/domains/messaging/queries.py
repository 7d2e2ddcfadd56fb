"""SQL of conversations and messages; rows are fenced by membership."""

from typing import Final
from uuid import UUID

from core.db import query
from hub.domains.messaging.schemas import Conversation, Message, OpenedConversation

open_direct = query(
    OpenedConversation,
    "SELECT id, created FROM app.open_direct_conversation($1)",
)

_CONVERSATION_COLUMNS: Final = (
    "c.id, c.kind, "
    "substring(replace(c.direct_key, app.user_id()::text, '') FROM '[0-9a-f-]+')::uuid "
    "AS partner_id, c.last_message_at, c.created_at"
)

# The key of a direct conversation holds both members; to read the partner's membership would cost
# as much again, as a policy has to be asked for it.
find_conversation = query(
    Conversation,
    """
    SELECT {columns}
    FROM conversations AS c
    WHERE c.id = $1
    """,
    columns=_CONVERSATION_COLUMNS,
)

# A conversation without a message stands where it was opened.
list_conversations = query(
    Conversation,
    """
    SELECT {columns}
    FROM conversation_members AS me
    JOIN conversations AS c ON c.id = me.conversation_id
    -- From one's memberships, or the policy would be asked of every conversation there is.
    WHERE me.user_id = app.user_id()
        AND (
            $1::timestamptz IS NULL
            OR (coalesce(c.last_message_at, c.created_at), c.id) < ($1::timestamptz, $2::uuid)
        )
    ORDER BY coalesce(c.last_message_at, c.created_at) DESC, c.id DESC
    LIMIT $3
    """,
    columns=_CONVERSATION_COLUMNS,
)

_MESSAGE_COLUMNS: Final = (
    "id, conversation_id, sender_id, kind, body, reply_to_id, client_key, created_at"
)

list_messages = query(
    Message,
    """
    SELECT {columns}
    FROM messages
    WHERE conversation_id = $1
        AND deleted_at IS NULL
        AND ($2::uuid IS NULL OR id < $2::uuid)
    ORDER BY id DESC
    LIMIT $3
    """,
    columns=_MESSAGE_COLUMNS,
)

insert_message = query(
    Message,
    """
    INSERT INTO messages (conversation_id, kind, body, reply_to_id, client_key)
    SELECT own.id, 'text', $2, $3, $4
    FROM app.lock_conversation($1) AS own (id)
    ON CONFLICT (sender_id, client_key) DO NOTHING
    RETURNING {columns}
    """,
    columns=_MESSAGE_COLUMNS,
)

find_by_client_key = query(
    Message,
    """
    SELECT {columns}
    FROM messages
    WHERE sender_id = app.user_id() AND client_key = $1
    """,
    columns=_MESSAGE_COLUMNS,
)

find_message_id = query(
    UUID,
    "SELECT id FROM messages WHERE id = $1 AND conversation_id = $2",
)
