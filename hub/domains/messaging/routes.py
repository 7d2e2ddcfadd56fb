"""REST: direct conversations and their messages."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.messaging import service
from hub.domains.messaging.schemas import Conversation, Message, NewMessage, OpenConversation
from hub.http.deps import reading
from hub.http.idempotency import KEYED, Answer, OptionalKey, RequiredKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented


@post(
    "/conversations",
    tags=["messaging"],
    responses={
        200: ResponseSpec(Conversation, description="The conversation existed already"),
        **documented("conversation.partner_invalid", *KEYED),
    },
)
async def open_conversation(
    request: Request[Any, Any, Any],
    data: JSONBody[OpenConversation],
    idempotency_key: OptionalKey = None,
) -> Response[Conversation]:
    """Open the direct conversation with another user; the same pair has one: 201 new, 200 known."""

    async def effect(tx: Tx) -> Answer[Conversation]:
        conversation, is_new = await service.open_direct(tx, data.partner_id)
        location = f"/v1/conversations/{conversation.id}"
        return Answer(conversation, 201 if is_new else 200, location)

    return await once(request, idempotency_key, effect)


@get("/conversations", tags=["messaging"], responses=documented("request.cursor_invalid"))
async def list_conversations(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Conversation]:
    """List one's conversations, the latest talk first."""
    async with reading(request) as tx:
        return await service.list_conversations(tx, limit=limit, cursor=cursor)


@get(
    "/conversations/{conversation_id:uuid}",
    tags=["messaging"],
    responses=documented("conversation.not_found"),
)
async def get_conversation(
    request: Request[Any, Any, Any], conversation_id: FromPath[UUID]
) -> Conversation:
    """Return one of one's conversations."""
    async with reading(request) as tx:
        return await service.get_conversation(tx, conversation_id)


@get(
    "/conversations/{conversation_id:uuid}/messages",
    tags=["messaging"],
    responses=documented("conversation.not_found", "request.cursor_invalid"),
)
async def list_messages(
    request: Request[Any, Any, Any],
    conversation_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Message]:
    """List the messages of one of one's conversations, newest first."""
    async with reading(request) as tx:
        return await service.list_messages(tx, conversation_id, limit=limit, cursor=cursor)


@post(
    "/conversations/{conversation_id:uuid}/messages",
    tags=["messaging"],
    responses={
        200: ResponseSpec(Message, description="The `client_key` was used for this message before"),
        **documented("conversation.not_found", "request.conflict", *KEYED),
    },
)
async def send_message(
    request: Request[Any, Any, Any],
    conversation_id: FromPath[UUID],
    data: JSONBody[NewMessage],
    idempotency_key: RequiredKey,
) -> Response[Message]:
    """Send a text: 201 and the new message, 200 and the old one for a known `client_key`."""

    async def effect(tx: Tx) -> Answer[Message]:
        message, is_new = await service.send_message(tx, conversation_id, data)
        return Answer(message, 201 if is_new else 200)

    return await once(request, idempotency_key, effect)


MESSAGING_ROUTES: Final = [
    open_conversation,
    list_conversations,
    get_conversation,
    list_messages,
    send_message,
]
