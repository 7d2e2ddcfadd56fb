"""What a server may do with channels and connections: one vocabulary for every door.

Each function works on all processes of the hub. It raises RefusedError for a request that is wrong,
and then nothing has happened; BrokerUnavailableError when it is unknown what has. Orders to
connections are obeyed at once here and told to the other processes by a stream that outlives
outages, so they may be repeated.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Raw

from hub.realtime import codes
from hub.realtime.broker import (
    NO_TAGS,
    Broker,
    History,
    HistoryOptions,
    PublishRequest,
    StreamPosition,
)
from hub.realtime.cluster.control import Control
from hub.realtime.cluster.messages import (
    ChannelList,
    DescribeNode,
    Disconnect,
    ListChannels,
    NodeInfo,
    Refresh,
    Subscribe,
    Unsubscribe,
)
from hub.realtime.namespaces import Namespace
from hub.realtime.presence import Presence, PresenceStats
from hub.realtime.protocol import payload
from hub.realtime.protocol.messages import ClientInfo

SURVEY_SECONDS: Final = 2.0
_CLOSE_CODES: Final = range(3000, 5000)
# RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code.
_REASON_MAX_BYTES: Final = 123


Procedure = Callable[[Raw], Awaitable[bytes]]
"""Takes and returns JSON, or raises RefusedError."""


class RefusedError(Exception):
    """The request is wrong; `error` says how."""

    def __init__(self, error: codes.Error) -> None:
        super().__init__(error.message)
        self.error = error


class Engine(Protocol):
    """What operations work with; a Hub is one."""

    @property
    def broker(self) -> Broker:
        """Where publications are kept and delivered."""
        ...

    @property
    def presence(self) -> Presence:
        """Who is in which channel."""
        ...

    @property
    def control(self) -> Control:
        """The other processes."""
        ...

    @property
    def procedures(self) -> Mapping[str, Procedure]:
        """What servers may call by name; the application registers them."""
        ...

    def namespace_of(self, channel: str) -> Namespace | None:
        """Return the rules of a channel, or None when nobody configured it."""
        ...


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is published, and how; key and version as in the broker's PublishRequest."""

    data: bytes
    allows_binary: bool = False
    """Bytes that are no JSON are meant so, and reach only clients that speak Protobuf."""
    tags: Mapping[str, str] = NO_TAGS
    skip_history: bool = False
    idempotency_key: str = ""
    version: int = 0
    version_epoch: str = ""


async def publish(engine: Engine, channel: str, content: Content) -> StreamPosition:
    """Publish in a channel; return where, or nowhere for a channel without history."""
    return await engine.broker.publish(_publish_request(engine, channel, content))


async def broadcast(
    engine: Engine, channels: Sequence[str], content: Content
) -> list[StreamPosition | codes.Error]:
    """Publish the same in many channels, in one round trip; each has its own outcome."""
    if not channels:
        raise RefusedError(codes.BAD_REQUEST)
    answers: list[StreamPosition | codes.Error] = []
    requests: list[PublishRequest] = []
    for channel in channels:
        try:
            requests.append(_publish_request(engine, channel, content))
            answers.append(StreamPosition())
        except RefusedError as refusal:
            answers.append(refusal.error)
    positions = iter(await engine.broker.publish_many(requests) if requests else [])
    return [item if isinstance(item, codes.Error) else next(positions) for item in answers]


async def subscribe(engine: Engine, order: Subscribe) -> None:
    """Subscribe connections from the server's side."""
    _namespace(engine, order.channel)
    _require_json(order.info)
    _require_json(order.data)
    await engine.control.send(order)


async def unsubscribe(engine: Engine, order: Unsubscribe) -> None:
    """End subscriptions to a channel, or all of them without one."""
    if order.channel:
        _namespace(engine, order.channel)
    await engine.control.send(order)


async def disconnect(engine: Engine, order: Disconnect) -> None:
    """Close connections; the range of the code says whether they come back."""
    if order.code not in _CLOSE_CODES or len(order.reason.encode()) > _REASON_MAX_BYTES:
        raise RefusedError(codes.BAD_REQUEST)
    await engine.control.send(order)


async def refresh(engine: Engine, order: Refresh) -> None:
    """Change when connections expire and what is known about them, or let them expire."""
    _require_json(order.info)
    await engine.control.send(order)


async def presence(engine: Engine, channel: str) -> dict[str, ClientInfo]:
    """Return who is in a channel, by client id."""
    _require_presence(engine, channel)
    return await engine.presence.get(channel)


async def presence_stats(engine: Engine, channel: str) -> PresenceStats:
    """Count the clients and users of a channel."""
    _require_presence(engine, channel)
    return await engine.presence.stats(channel)


async def history(
    engine: Engine,
    channel: str,
    *,
    since: StreamPosition | None = None,
    limit: int = 0,
    reverse: bool = False,
) -> History:
    """Read a stream; limit 0 reads only its top, a negative one everything that is kept."""
    namespace = _require_history(engine, channel)
    if reverse and since and since.offset == 0:
        raise RefusedError(codes.BAD_REQUEST)
    found = await engine.broker.history(
        channel,
        since=since.offset if since else None,
        limit=limit,
        reverse=reverse,
        meta_ttl_seconds=namespace.history_meta_ttl_seconds,
    )
    if since and since.epoch not in ("", found.top.epoch):
        raise RefusedError(codes.UNRECOVERABLE_POSITION)
    return found


async def history_remove(engine: Engine, channel: str) -> None:
    """Forget the publications of a stream, which goes on: nobody is unsubscribed."""
    _require_history(engine, channel)
    await engine.broker.remove_history(channel)


async def channels(engine: Engine, pattern: str = "") -> dict[str, int]:
    """Return the channels that anybody is subscribed to, with the number of subscribers.

    Part of the truth would pass for the whole: a silent process is an internal error.
    """
    survey = await engine.control.survey(ListChannels(pattern), SURVEY_SECONDS)
    if survey.missing:
        raise RefusedError(codes.INTERNAL)
    found: dict[str, int] = {}
    for answer in survey.answers.values():
        if isinstance(answer, ChannelList):
            for channel, clients in answer.channels.items():
                found[channel] = found.get(channel, 0) + clients
    return found


async def info(engine: Engine) -> list[NodeInfo]:
    """Describe every process; of a silent one its last news, seconds old."""
    survey = await engine.control.survey(DescribeNode(), SURVEY_SECONDS)
    fresh = {node.uid: node for node in survey.answers.values() if isinstance(node, NodeInfo)}
    return [fresh.get(node.uid, node) for node in engine.control.nodes]


async def rpc(engine: Engine, method: str, params: Raw) -> bytes:
    """Call a procedure of the application."""
    if not method:
        raise RefusedError(codes.BAD_REQUEST)
    procedure = engine.procedures.get(method)
    if procedure is None:
        raise RefusedError(codes.METHOD_NOT_FOUND)
    return await procedure(params)


def _publish_request(engine: Engine, channel: str, content: Content) -> PublishRequest:
    namespace = _namespace(engine, channel)
    is_json = payload.is_json(content.data)
    if not (is_json or content.allows_binary) or not payload.fits(
        content.data, namespace.publication_data_format
    ):
        raise RefusedError(codes.BAD_REQUEST)
    return PublishRequest(
        channel=channel,
        data=content.data,
        binary=not is_json,
        history=HistoryOptions() if content.skip_history else _kept(namespace),
        tags=content.tags,
        idempotency_key=content.idempotency_key,
        version=content.version,
        version_epoch=content.version_epoch,
    )


def _kept(namespace: Namespace) -> HistoryOptions:
    return HistoryOptions(
        namespace.history_size,
        namespace.history_ttl_seconds,
        namespace.history_meta_ttl_seconds,
    )


def _namespace(engine: Engine, channel: str) -> Namespace:
    if not channel:
        raise RefusedError(codes.BAD_REQUEST)
    namespace = engine.namespace_of(channel)
    if namespace is None:
        raise RefusedError(codes.UNKNOWN_CHANNEL)
    return namespace


def _require_presence(engine: Engine, channel: str) -> None:
    if not _namespace(engine, channel).presence:
        raise RefusedError(codes.NOT_AVAILABLE)


def _require_history(engine: Engine, channel: str) -> Namespace:
    namespace = _namespace(engine, channel)
    if not namespace.has_history:
        raise RefusedError(codes.NOT_AVAILABLE)
    return namespace


def _require_json(text: bytes) -> None:
    # Other bytes would break the frames of every client that speaks JSON.
    if text and not payload.is_json(text):
        raise RefusedError(codes.BAD_REQUEST)
