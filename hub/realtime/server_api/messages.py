"""Requests and responses of the server API, field by field as in Centrifugo's api.proto.

Unknown fields are ignored: libraries may be newer than we. In results, fields without a default are
always sent; others only when they are not zero.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from hub.realtime.protocol.messages import (
    EMPTY,
    ClientInfo,
    Int32,
    Int64,
    Position,
    UInt32,
    UInt64,
)

# Versions live in Redis as Lua's numbers, which are exact up to here.
Version = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of all messages: a field that has its zero value is not sent."""


class Content(Message):
    """What is published, and how; `b64data` wins over `data`."""

    data: Raw = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: dict[str, str] = {}
    idempotency_key: str = ""
    delta: bool = False
    """Accepted and without effect: who negotiated deltas gets them for every publication."""
    version: Version = 0
    version_epoch: str = ""


class PublishRequest(Content):
    channel: str = ""


class BroadcastRequest(Content):
    channels: list[str] = []


class BoolValue(Message):
    """A bool that may be absent."""

    value: bool = False


class SubscribeOptionOverride(Message):
    presence: BoolValue | None = None
    join_leave: BoolValue | None = None
    force_recovery: BoolValue | None = None
    force_positioning: BoolValue | None = None
    force_push_join_leave: BoolValue | None = None


class Target(Message):
    """Which connections: all of a user, or the ones among them that client and session name."""

    user: str = ""
    client: str = ""
    session: str = ""


class SubscribeRequest(Target):
    channel: str = ""
    expire_at: Int64 = 0
    info: Raw = EMPTY
    b64info: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    recover_since: Position | None = None
    override: SubscribeOptionOverride | None = None


class UnsubscribeRequest(Target):
    channel: str = ""


class Disconnect(Message):
    code: UInt32 = 0
    reason: str = ""


class DisconnectRequest(Target):
    disconnect: Disconnect | None = None
    whitelist: list[str] = []
    """Client ids that stay."""


class RefreshRequest(Target):
    expired: bool = False
    expire_at: Int64 = 0
    info: Raw = EMPTY


class ChannelRequest(Message):
    """The request of presence, presence_stats and history_remove."""

    channel: str = ""


class HistoryRequest(Message):
    channel: str = ""
    limit: Int32 = 0
    since: Position | None = None
    reverse: bool = False


class ChannelsRequest(Message):
    pattern: str = ""


class InfoRequest(Message):
    pass


class RpcRequest(Message):
    method: str = ""
    params: Raw = EMPTY


class Error(Message):
    code: UInt32
    message: str


class PublishResult(Message):
    offset: UInt64 = 0
    epoch: str = ""


class PublishResponse(Message):
    error: Error | None = None
    result: PublishResult | None = None


class BroadcastResult(Message):
    responses: list[PublishResponse] = []
    """One for each channel of the request, in its order."""


class EmptyResult(Message):
    """The result of subscribe, unsubscribe, disconnect, refresh and history_remove."""


class PresenceResult(Message):
    presence: dict[str, ClientInfo]
    """Who is present, by client id."""


class PresenceStatsResult(Message):
    num_clients: UInt32
    num_users: UInt32


class Publication(Message):
    data: Raw = EMPTY
    info: ClientInfo | None = None
    offset: UInt64 = 0
    tags: dict[str, str] = {}


class HistoryResult(Message):
    publications: list[Publication]
    epoch: str
    offset: UInt64


class NodeResult(Message):
    uid: str
    name: str
    version: str
    num_clients: UInt32
    num_users: UInt32
    num_channels: UInt32
    num_subs: UInt32
    uptime: UInt32 = 0
    messages_sent: UInt64 = 0
    messages_received: UInt64 = 0
    """Ours: since the start of the process."""


class InfoResult(Message):
    nodes: list[NodeResult] = []


class ChannelInfo(Message):
    num_clients: UInt32 = 0


class ChannelsResult(Message):
    channels: dict[str, ChannelInfo]


class RpcResult(Message):
    data: Raw = EMPTY


Request = (
    PublishRequest
    | BroadcastRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | DisconnectRequest
    | RefreshRequest
    | ChannelRequest
    | HistoryRequest
    | ChannelsRequest
    | InfoRequest
    | RpcRequest
)
Result = (
    PublishResult
    | BroadcastResult
    | EmptyResult
    | PresenceResult
    | PresenceStatsResult
    | HistoryResult
    | InfoResult
    | ChannelsResult
    | RpcResult
)


class Response(Message):
    """The answer to one method: an error or a result."""

    error: Error | None = None
    result: Result | None = None
