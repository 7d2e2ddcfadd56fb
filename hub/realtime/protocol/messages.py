"""The messages of the client protocol, independent of their framing.

Fields keep the order and names of the published schema (client.proto); fields with their zero
value are left out, except those without a default. Fields of features that this server lacks are
missing here and ignored when they arrive: clients may be newer than we.

`Raw` fields are JSON texts embedded as they are in JSON, bytes of any kind in Protobuf; one that is
empty must be EMPTY itself. Publications inside results are made by `Framing.publication`.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from hub.realtime.codes import Error

EMPTY: Final = Raw()
UInt32 = Annotated[int, Meta(ge=0, lt=1 << 32)]
# Signed, as the streams behind it count; no offset comes near the bound.
UInt64 = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Int32 = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]
Int64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of all messages: a field that has its zero value is not sent."""


class Position(Message):
    offset: UInt64 = 0
    epoch: str = ""


class ClientInfo(Message):
    """Who published, joined or is present; user and client are always sent."""

    user: str
    client: str
    conn_info: Raw = EMPTY
    chan_info: Raw = EMPTY


class FilterNode(Message):
    """A condition on the tags of publications; `op` is empty in a comparison."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: list[str] = []
    nodes: list["FilterNode"] = []


class SubscribeRequest(Message):
    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: UInt64 = 0
    data: Raw = EMPTY
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: Int64 = 0
    type: Int32 = 0


class ConnectRequest(Message):
    token: str = ""
    data: Raw = EMPTY
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}


class UnsubscribeRequest(Message):
    channel: str = ""


class PublishRequest(Message):
    channel: str = ""
    data: Raw = EMPTY
    type: Int32 = 0


class PresenceRequest(Message):
    channel: str = ""


class HistoryRequest(Message):
    channel: str = ""
    limit: Int32 = 0
    since: Position | None = None
    reverse: bool = False


class RpcRequest(Message):
    data: Raw = EMPTY
    method: str = ""


class SendRequest(Message):
    data: Raw = EMPTY


class RefreshRequest(Message):
    token: str = ""


class SubRefreshRequest(Message):
    channel: str = ""
    token: str = ""
    type: Int32 = 0


Request = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | HistoryRequest
    | RpcRequest
    | SendRequest
    | RefreshRequest
    | SubRefreshRequest
)


class Command(Message):
    """One command; the first request that is present counts, as in the original."""

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceRequest | None = None
    history: HistoryRequest | None = None
    rpc: RpcRequest | None = None
    send: SendRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def is_pong(self) -> bool:
        """A command without id answers a ping, unless it sends data."""
        return self.id == 0 and self.send is None

    @property
    def channel(self) -> str:
        """The channel that the command is about, "" when it is about none."""
        request = getattr(self, self.method, None)
        return getattr(request, "channel", "")

    @property
    def method(self) -> str:
        """The name of the request that counts, "" when there is none."""
        for name in METHODS:
            if getattr(self, name) is not None:
                return name
        return ""


METHODS: Final = tuple(name for name in Command.__struct_fields__ if name != "id")


class SubscribeResult(Message):
    expires: bool = False
    ttl: UInt32 = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Raw] = []
    recovered: bool = False
    offset: UInt64 = 0
    positioned: bool = False
    data: Raw = EMPTY
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Message):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: UInt32 = 0
    data: Raw = EMPTY
    subs: dict[str, SubscribeResult] = {}
    ping: UInt32 = 0
    pong: bool = False
    session: str = ""
    node: str = ""
    time: Int64 = 0
    """Unix time of the server in milliseconds."""


class UnsubscribeResult(Message):
    pass


class PublishResult(Message):
    pass


class PresenceResult(Message):
    presence: dict[str, ClientInfo]
    """Who is present, by client id."""


class PresenceStatsResult(Message):
    num_clients: UInt32
    num_users: UInt32


class HistoryResult(Message):
    publications: list[Raw]
    epoch: str
    offset: UInt64


class RpcResult(Message):
    data: Raw = EMPTY


class RefreshResult(Message):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: UInt32 = 0


class SubRefreshResult(Message):
    expires: bool = False
    ttl: UInt32 = 0


class ErrorReply(Message):
    code: UInt32 = 0
    message: str = ""
    temporary: bool = False


class Reply(Message):
    """The answer to the command with the same id: an error or the result under its method."""

    id: UInt32 = 0
    error: ErrorReply | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: UnsubscribeResult | None = None
    publish: PublishResult | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    rpc: RpcResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: SubRefreshResult | None = None


class JoinPush(Message):
    info: ClientInfo


class LeavePush(Message):
    info: ClientInfo


class UnsubscribePush(Message):
    code: UInt32 = 0
    reason: str = ""


class MessagePush(Message):
    data: Raw = EMPTY


class SubscribePush(Message):
    """The server subscribed the client."""

    recoverable: bool = False
    epoch: str = ""
    offset: UInt64 = 0
    positioned: bool = False
    data: Raw = EMPTY


class DisconnectPush(Message):
    """The close of a transport that has no close codes of its own."""

    code: UInt32 = 0
    reason: str = ""
    reconnect: bool = False


class RefreshPush(Message):
    expires: bool = False
    ttl: UInt32 = 0


class Push(Message):
    """What the server says unasked; publications are framed by `fanout`, once for everybody."""

    channel: str = ""
    join: JoinPush | None = None
    leave: LeavePush | None = None
    unsubscribe: UnsubscribePush | None = None
    message: MessagePush | None = None
    subscribe: SubscribePush | None = None
    connect: ConnectResult | None = None
    disconnect: DisconnectPush | None = None
    refresh: RefreshPush | None = None


class PushReply(Message):
    push: Push


class EmulationRequest(Message):
    """Commands for a connection whose transport only carries from server to client."""

    node: str = ""
    session: str = ""
    data: bytes = b""
    """A transport frame of the session's framing."""


def raw(data: bytes) -> Raw:
    """Return bytes as a field's value; only EMPTY itself is left out of messages."""
    return Raw(data) if data else EMPTY


def error_reply(command_id: int, error: Error) -> Reply:
    """Return the reply that refuses a command."""
    return Reply(
        id=command_id,
        error=ErrorReply(code=error.code, message=error.message, temporary=error.temporary),
    )
