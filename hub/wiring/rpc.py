"""Remote procedures of the sockets: what REST offers, without leaving the connection.

The same services under the same row policies, with the connection's user as the actor.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct

from core import ids, log
from core.actor import SYSTEM, Actor, Role
from core.crypto import Keys
from core.db import Tx, begin
from core.errors import DomainError
from core.ids import UserId
from hub.domains.accounts import service as accounts
from hub.domains.messaging import service as messaging
from hub.domains.messaging.schemas import NewMessage
from hub.domains.rings import service as rings
from hub.domains.touches import service as touches
from hub.domains.touches.schemas import TouchAnswer
from hub.http import idempotency
from hub.http.deps import Resources
from hub.http.idempotency import Answer
from hub.http.problems import log_unexpected, translate
from hub.realtime import codes
from hub.realtime.application import ClientError, RpcHandler
from hub.realtime.tokens.claims import ConnectClaims

_OF_THE_PROTOCOL: Final = {
    "server.internal": codes.INTERNAL,
    "limit.exceeded": codes.TOO_MANY_REQUESTS,
}
_TEMPORARY: Final = frozenset({"idempotency.in_flight", "service.unavailable"})

Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$(?!\n)")]
PageSize = Annotated[int, Meta(ge=1, le=200)]


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a procedure that takes none."""


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a list."""

    limit: PageSize = 50
    cursor: str | None = None


class ListMessages(Listing, frozen=True, kw_only=True):
    """Parameters of messages.list."""

    conversation_id: UUID


class SendMessage(NewMessage, frozen=True, kw_only=True):
    """Parameters of messages.send; the key makes a repetition harmless, as over REST."""

    conversation_id: UUID
    idempotency_key: Key


class AnswerTouch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of touches.confirm and touches.decline."""

    touch_id: UUID


class Call(Struct, frozen=True):
    """One call: what was sent, byte for byte, and what the process has opened."""

    tx: Tx
    data: bytes
    house: Resources


class Procedure(Struct, frozen=True):
    """What a method takes, whether it writes, and what answers it: JSON, or what becomes JSON."""

    params: type[Struct]
    run: Callable[[Call, Any], Awaitable[object]]
    writes: bool = False


async def _send_message(call: Call, params: SendMessage) -> object:
    new = NewMessage(body=params.body, client_key=params.client_key, reply_to_id=params.reply_to_id)

    async def effect(tx: Tx) -> Answer[Any]:
        message, is_new = await messaging.send_message(tx, params.conversation_id, new)
        return Answer(message, 201 if is_new else 200)

    request_hash = idempotency.hash_of("rpc messages.send", call.data)
    outcome = await idempotency.run_once(
        call.tx,
        Keys(call.house.cipher, call.house.index_key),
        params.idempotency_key,
        request_hash,
        effect,
    )
    return Raw(outcome.body)


async def _list_messages(call: Call, params: ListMessages) -> object:
    return await messaging.list_messages(
        call.tx, params.conversation_id, limit=params.limit, cursor=params.cursor
    )


async def _list_conversations(call: Call, params: Listing) -> object:
    return await messaging.list_conversations(call.tx, limit=params.limit, cursor=params.cursor)


async def _list_rings(call: Call, params: Listing) -> object:
    return await rings.list_rings(call.tx, limit=params.limit, cursor=params.cursor)


async def _list_touches(call: Call, params: Listing) -> object:
    return await touches.list_touches(call.tx, limit=params.limit, cursor=params.cursor)


async def _confirm_touch(call: Call, params: AnswerTouch) -> object:
    return await _answer_touch(call, params, "confirmed")


async def _decline_touch(call: Call, params: AnswerTouch) -> object:
    return await _answer_touch(call, params, "declined")


async def _answer_touch(call: Call, params: AnswerTouch, said: TouchAnswer) -> object:
    user_id = call.tx.actor.user_id
    if user_id is None:
        raise DomainError("auth.required")
    system = msgspec.structs.replace(
        SYSTEM, request_id=call.tx.actor.request_id, endpoint=call.tx.actor.endpoint
    )
    async with begin(call.house.system, system) as tx:
        await touches.answer(
            tx, user_id=user_id, touch_id=params.touch_id, said=said, cipher=call.house.cipher
        )
    return await touches.get_touch(call.tx, params.touch_id)


async def _get_me(call: Call, params: Nothing) -> object:
    del params
    return await accounts.get_me(call.tx, call.house.cipher)


PROCEDURES: Final[Mapping[str, Procedure]] = {
    "messages.send": Procedure(SendMessage, _send_message, writes=True),
    "messages.list": Procedure(ListMessages, _list_messages),
    "conversations.list": Procedure(Listing, _list_conversations),
    "rings.list": Procedure(Listing, _list_rings),
    "touches.list": Procedure(Listing, _list_touches),
    "touches.confirm": Procedure(AnswerTouch, _confirm_touch, writes=True),
    "touches.decline": Procedure(AnswerTouch, _decline_touch, writes=True),
    "me.get": Procedure(Nothing, _get_me),
}


def rpc_handlers(house: Resources) -> dict[str, RpcHandler]:
    """Return the handlers of all procedures by method name."""
    return {method: _handler(house, method, procedure) for method, procedure in PROCEDURES.items()}


def client_error(error: Exception) -> ClientError:
    """Return a failure as sockets say it.

    Where the protocol has no code of its own it is the HTTP status of REST, which lies outside of
    what the protocol reserves; the message is the code of the catalogue.
    """
    refusal = translate(error)
    if refusal.code == "server.internal":
        log_unexpected(error)
    if refusal.code in _OF_THE_PROTOCOL:
        return ClientError(_OF_THE_PROTOCOL[refusal.code])
    return ClientError(codes.Error(refusal.status, refusal.code, refusal.code in _TEMPORARY))


def _handler(house: Resources, method: str, procedure: Procedure) -> RpcHandler:
    decode = msgspec.json.Decoder(procedure.params).decode

    async def handle(claims: ConnectClaims, data: Raw) -> bytes:
        try:
            # A client that has nothing to say sends nothing, or null.
            text = bytes(data)
            params = decode(b"{}" if text in (b"", b"null") else text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise ClientError(codes.BAD_REQUEST) from None
        actor = _actor(claims, method)
        token = log.request_id.set(actor.request_id)
        try:
            await _count(house, UUID(claims.user))
            if house.cipher.data_keys is not None:
                await house.cipher.data_keys.come_up_to_date()
            async with begin(house.api, actor, read_only=not procedure.writes) as tx:
                answer = await procedure.run(Call(tx, text, house), params)
            return msgspec.json.encode(answer)
        except Exception as error:  # noqa: BLE001  # one table says what each of them means
            raise client_error(error) from None
        finally:
            log.request_id.reset(token)

    return handle


async def _count(house: Resources, user_id: UUID) -> None:
    tier = await house.tiers.of(user_id)
    allowance = await house.limiter.take("default", str(user_id), tier=tier)
    if allowance and allowance.refused:
        raise DomainError("limit.exceeded")


def _actor(claims: ConnectClaims, method: str) -> Actor:
    return Actor(
        kind="user",
        user_id=UserId(UUID(claims.user)),
        role=msgspec.convert(claims.role, Role),
        session_id=claims.session_id,
        request_id=str(ids.new_id()),
        endpoint=f"RPC {method}",
    )
