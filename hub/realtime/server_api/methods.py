"""The methods of the server API: from request to operation to result."""

import base64
import binascii
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from core import log
from hub.realtime import codes, metrics, operations
from hub.realtime.broker import StreamPosition
from hub.realtime.cluster.messages import Disconnect, Refresh, Subscribe, Unsubscribe
from hub.realtime.operations import Content, Engine, RefusedError
from hub.realtime.protocol import payload
from hub.realtime.protocol.messages import raw
from hub.realtime.server_api import messages
from hub.realtime.server_api.messages import Request, Result

_logger = log.get("realtime.server_api")


class Method(msgspec.Struct, frozen=True):
    """One method: what its body decodes to, and what carries it out or raises RefusedError."""

    request: type[Request]
    run: Callable[[Engine, Any], Awaitable[Result]]


async def _publish(engine: Engine, request: messages.PublishRequest) -> messages.PublishResult:
    position = await operations.publish(engine, request.channel, _content(request))
    return messages.PublishResult(offset=position.offset, epoch=position.epoch)


async def _broadcast(
    engine: Engine, request: messages.BroadcastRequest
) -> messages.BroadcastResult:
    answers = await operations.broadcast(engine, request.channels, _content(request))
    for error, count in Counter(item for item in answers if isinstance(item, codes.Error)).items():
        note_refusal("broadcast", error, count)
    return messages.BroadcastResult(responses=[_published(answer) for answer in answers])


async def _subscribe(engine: Engine, request: messages.SubscribeRequest) -> messages.EmptyResult:
    override = request.override or messages.SubscribeOptionOverride()
    since = request.recover_since
    order = Subscribe(
        user=request.user,
        client=request.client,
        session=request.session,
        channel=request.channel,
        info=_bytes(request.info, request.b64info),
        data=_bytes(request.data, request.b64data),
        expires_at=request.expire_at,
        presence=_bool(override.presence),
        join_leave=_bool(override.join_leave),
        force_push_join_leave=_bool(override.force_push_join_leave),
        force_recovery=_bool(override.force_recovery),
        force_positioning=_bool(override.force_positioning),
        recover_since=StreamPosition(since.offset, since.epoch) if since else None,
    )
    await operations.subscribe(engine, order)
    return messages.EmptyResult()


async def _unsubscribe(
    engine: Engine, request: messages.UnsubscribeRequest
) -> messages.EmptyResult:
    order = Unsubscribe(
        user=request.user, client=request.client, session=request.session, channel=request.channel
    )
    await operations.unsubscribe(engine, order)
    return messages.EmptyResult()


async def _disconnect(engine: Engine, request: messages.DisconnectRequest) -> messages.EmptyResult:
    order = Disconnect(
        user=request.user,
        client=request.client,
        session=request.session,
        whitelist=tuple(request.whitelist),
    )
    if request.disconnect and request.disconnect.code:
        code, reason = request.disconnect.code, request.disconnect.reason
        order = replace(order, code=code, reason=reason)
    await operations.disconnect(engine, order)
    return messages.EmptyResult()


async def _refresh(engine: Engine, request: messages.RefreshRequest) -> messages.EmptyResult:
    order = Refresh(
        user=request.user,
        client=request.client,
        session=request.session,
        expired=request.expired,
        expire_at=request.expire_at,
        info=bytes(request.info),
    )
    await operations.refresh(engine, order)
    return messages.EmptyResult()


async def _presence(engine: Engine, request: messages.ChannelRequest) -> messages.PresenceResult:
    return messages.PresenceResult(presence=await operations.presence(engine, request.channel))


async def _presence_stats(
    engine: Engine, request: messages.ChannelRequest
) -> messages.PresenceStatsResult:
    stats = await operations.presence_stats(engine, request.channel)
    return messages.PresenceStatsResult(num_clients=stats.num_clients, num_users=stats.num_users)


async def _history(engine: Engine, request: messages.HistoryRequest) -> messages.HistoryResult:
    since = request.since
    history = await operations.history(
        engine,
        request.channel,
        since=StreamPosition(since.offset, since.epoch) if since else None,
        limit=request.limit,
        reverse=request.reverse,
    )
    return messages.HistoryResult(
        publications=[_publication(item.payload, item.offset) for item in history.publications],
        epoch=history.top.epoch,
        offset=history.top.offset,
    )


async def _history_remove(engine: Engine, request: messages.ChannelRequest) -> messages.EmptyResult:
    await operations.history_remove(engine, request.channel)
    return messages.EmptyResult()


async def _channels(engine: Engine, request: messages.ChannelsRequest) -> messages.ChannelsResult:
    found = await operations.channels(engine, request.pattern)
    return messages.ChannelsResult(
        channels={
            channel: messages.ChannelInfo(num_clients=clients) for channel, clients in found.items()
        }
    )


async def _info(engine: Engine, request: messages.InfoRequest) -> messages.InfoResult:
    del request
    return messages.InfoResult(
        nodes=[
            messages.NodeResult(
                uid=node.uid,
                name=node.name,
                version=node.version,
                num_clients=node.num_clients,
                num_users=node.num_users,
                num_channels=node.num_channels,
                num_subs=node.num_subs,
                uptime=node.uptime,
                messages_sent=node.messages_sent,
                messages_received=node.messages_received,
            )
            for node in await operations.info(engine)
        ]
    )


async def _rpc(engine: Engine, request: messages.RpcRequest) -> messages.RpcResult:
    data = await operations.rpc(engine, request.method, request.params)
    return messages.RpcResult(data=raw(data))


METHODS: Final[dict[str, Method]] = {
    "publish": Method(messages.PublishRequest, _publish),
    "broadcast": Method(messages.BroadcastRequest, _broadcast),
    "subscribe": Method(messages.SubscribeRequest, _subscribe),
    "unsubscribe": Method(messages.UnsubscribeRequest, _unsubscribe),
    "disconnect": Method(messages.DisconnectRequest, _disconnect),
    "refresh": Method(messages.RefreshRequest, _refresh),
    "presence": Method(messages.ChannelRequest, _presence),
    "presence_stats": Method(messages.ChannelRequest, _presence_stats),
    "history": Method(messages.HistoryRequest, _history),
    "history_remove": Method(messages.ChannelRequest, _history_remove),
    "channels": Method(messages.ChannelsRequest, _channels),
    "info": Method(messages.InfoRequest, _info),
    "rpc": Method(messages.RpcRequest, _rpc),
}


def note_refusal(name: str, error: codes.Error, count: int = 1) -> None:
    """Tell that calls were refused; what is no method of ours goes by no name."""
    method = name if name in METHODS else "unknown"
    code = str(error.code) if error in codes.ERRORS else "other"
    metrics.API_ERRORS.labels(method=method, code=code).inc(count)
    _logger.info("api_call_refused", method=method, code=error.code, count=count)


def error_of(error: codes.Error) -> messages.Error:
    """Return an error as this API says it; one message differs from the client protocol's."""
    message = "not found" if error is codes.METHOD_NOT_FOUND else error.message
    return messages.Error(code=error.code, message=message)


def _published(answer: StreamPosition | codes.Error) -> messages.PublishResponse:
    if isinstance(answer, codes.Error):
        return messages.PublishResponse(error=error_of(answer))
    result = messages.PublishResult(offset=answer.offset, epoch=answer.epoch)
    return messages.PublishResponse(result=result)


def _content(request: messages.Content) -> Content:
    return Content(
        data=_bytes(request.data, request.b64data),
        # An empty message is one of bytes: where a namespace allows these, it is allowed too.
        allows_binary=bool(request.b64data) or not bytes(request.data),
        tags=request.tags,
        skip_history=request.skip_history,
        idempotency_key=request.idempotency_key,
        version=request.version,
        version_epoch=request.version_epoch,
    )


def _bytes(data: Raw, in_base64: str) -> bytes:
    if not in_base64:
        return bytes(data)
    try:
        return base64.b64decode(in_base64, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(codes.BAD_REQUEST) from None


def _bool(value: messages.BoolValue | None) -> bool | None:
    return value.value if value else None


def _publication(stored: bytes, offset: int) -> messages.Publication:
    content = payload.decode(stored)
    # Bytes that are no JSON cannot stand in it: they go as the text that `b64data` takes.
    data = content.data
    if not bytes(data):
        data = Raw(msgspec.json.encode(content.b64data))
    return messages.Publication(
        data=data,
        info=content.info,
        offset=offset,
        tags=cast("dict[str, str]", content.tags),
    )
