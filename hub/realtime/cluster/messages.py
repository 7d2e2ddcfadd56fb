"""What the hub's processes tell and ask each other.

Orders change the state of connections wherever these are, and none may be missed. Questions go to
the processes of this moment, and who does not answer in time is named.
"""

import msgspec

from hub.realtime.broker import StreamPosition


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the orders: which connections are meant.

    Those of `user`, of these only the one of `client` or `session` when given.
    """

    user: str = ""
    client: str = ""
    session: str = ""


class Disconnect(Order, frozen=True, kw_only=True, tag="disconnect"):
    """Close connections, except those of the clients in `whitelist`."""

    whitelist: tuple[str, ...] = ()
    code: int = 3503
    reason: str = "force disconnect"


class Unsubscribe(Order, frozen=True, kw_only=True, tag="unsubscribe"):
    """End the subscriptions to a channel; all subscriptions without one."""

    channel: str = ""
    code: int = 2000
    reason: str = "server unsubscribe"


class Subscribe(Order, frozen=True, kw_only=True, tag="subscribe"):
    """Make subscriptions from the server's side; None leaves a choice to the namespace."""

    channel: str
    info: bytes = b""
    data: bytes = b""
    expires_at: int = 0
    """Unix seconds; 0 never."""
    presence: bool | None = None
    join_leave: bool | None = None
    force_push_join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None
    recover_since: StreamPosition | None = None


class Refresh(Order, frozen=True, kw_only=True, tag="refresh"):
    """Change when connections expire and what is known about them, or let them expire now."""

    expired: bool = False
    expire_at: int = 0
    """Unix seconds; 0 never."""
    info: bytes = b""


class Revoke(msgspec.Struct, frozen=True, kw_only=True, tag="revoke"):
    """End a sign-in session for good: close its connections, refuse its tokens from now on."""

    sign_in_session: str
    """As `ConnectClaims.session_id`; what orders call `session` is a connection's own."""


AnyOrder = Disconnect | Unsubscribe | Subscribe | Refresh | Revoke


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True, tag="node"):
    """One hub process as `info` shows it."""

    uid: str
    name: str = ""
    version: str = ""
    num_clients: int = 0
    num_users: int = 0
    num_subs: int = 0
    num_channels: int = 0
    uptime: int = 0
    """Seconds."""
    messages_sent: int = 0
    messages_received: int = 0
    """Since the start of the process, over all transports."""


class ListChannels(msgspec.Struct, frozen=True, tag="list_channels"):
    """Ask for channels with subscribers; `pattern` is a glob, "" means all."""

    pattern: str = ""


class ChannelList(msgspec.Struct, frozen=True, tag="channel_list"):
    """Channels of one process, each with the number of its subscribers there."""

    channels: dict[str, int]


class Emulate(msgspec.Struct, frozen=True, tag="emulate"):
    """Hand over what a client of http_stream or SSE sent to another process than its own."""

    session: str
    data: bytes


class EmulateResult(msgspec.Struct, frozen=True, tag="emulate_result"):
    """Whether the session was found."""

    found: bool


class DescribeNode(msgspec.Struct, frozen=True, tag="describe_node"):
    """Ask for the numbers of this moment; answered by `NodeInfo`."""


class DescribeUser(msgspec.Struct, frozen=True, tag="describe_user"):
    """Ask for the connections of a user and what was refused to them."""

    user: str


class SubscriptionState(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription; `position` is how far it has come, None while it is being made."""

    channel: str
    by_server: bool
    position: StreamPosition | None = None


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """One open connection."""

    client: str
    transport: str
    format: str
    connected_at_ms: int
    """Unix time."""
    waiting_bytes: int
    """What the client has yet to read."""
    subscriptions: tuple[SubscriptionState, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A command answered by an error, or a connection closed by the server (method "")."""

    at: int
    """Unix seconds."""
    method: str
    channel: str
    code: int
    reason: str


class UserState(msgspec.Struct, frozen=True, tag="user_state"):
    """What one process knows of a user; refusals the oldest first."""

    connections: tuple[ConnectionState, ...]
    refusals: tuple[Refusal, ...]


Question = ListChannels | Emulate | DescribeNode | DescribeUser
Answer = ChannelList | EmulateResult | NodeInfo | UserState
