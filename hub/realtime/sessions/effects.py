"""What a session asks its shell to do, and what the shell reports back."""

import msgspec
from msgspec import Raw

from hub.realtime.broker import StreamPosition
from hub.realtime.codes import Disconnect, Error
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.messages import ConnectRequest, SubscribeResult
from hub.realtime.sessions.subscriptions import Subscription, Terms


class Write(msgspec.Struct, frozen=True):
    """Queue one encoded message."""

    message: bytes


class Ping(msgspec.Struct, frozen=True):
    """Ask for a sign of life below the protocol; report by `ponged`."""


class Close(msgspec.Struct, frozen=True):
    """Send what is queued, then close the socket with this code."""

    disconnect: Disconnect


class Authenticate(msgspec.Struct, frozen=True):
    """Verify a connection token; report by `connect.authenticated` or `connect.token_*`."""

    token: str
    connect: ConnectRequest


class VerifySubscription(msgspec.Struct, frozen=True):
    """Verify a subscription token; report by `subscribe.verified` or `subscribe.token_*`."""

    token: str


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription to be made. `ask` is set when only the application can say who may join."""

    channel: str
    namespace: Namespace
    terms: Terms
    ask: bool = False
    recovering: bool = False
    """The client asked to go on from a position, whether or not the channel can do that."""
    since: StreamPosition | None = None
    as_cache: bool = False
    """Only the newest publication counts."""
    reject_unrecovered: bool = False
    recovered_as_pushes: bool = False
    """Nothing answers this subscription: what was missed follows as pushes."""


class Join(msgspec.Struct, frozen=True):
    """Make subscriptions, all or none; report by `subscribe.joined` or `Session.refused`."""

    requests: list[JoinRequest]


class Joined(msgspec.Struct, frozen=True):
    """A subscription stands: the result for the reply, and pushes that follow it."""

    result: SubscribeResult
    late: list[bytes]


class Refused(msgspec.Struct, frozen=True):
    """Remember that a command was answered by an error."""

    method: str
    channel: str
    error: Error


class Leave(msgspec.Struct, frozen=True):
    """End a subscription at once."""

    channel: str
    subscription: Subscription


class ReadHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Read a stream; report by `channels.history_read` or `Session.refused`."""

    channel: str
    since: int | None
    limit: int
    reverse: bool
    meta_ttl_seconds: int = 0


class ReadPresence(msgspec.Struct, frozen=True):
    """Read who is there; report by `channels.presence_read` or `Session.refused`."""

    channel: str


class CountPresence(msgspec.Struct, frozen=True):
    """Count who is there; report by `channels.presence_counted` or `Session.refused`."""

    channel: str


class PublishData(msgspec.Struct, frozen=True, kw_only=True):
    """Publish for the client; report by `channels.published` or `Session.refused`."""

    channel: str
    namespace: Namespace
    data: bytes
    info: bytes
    binary: bool = False


class HandOver(msgspec.Struct, frozen=True):
    """Give sent data to the application; report by `calls.handed_over` or `Session.refused`."""

    data: Raw


class Call(msgspec.Struct, frozen=True):
    """Call a remote procedure beside all else; report by `calls.called` or `calls.failed`."""

    command_id: int
    method: str
    data: Raw


Awaited = (
    Authenticate
    | VerifySubscription
    | Join
    | ReadHistory
    | ReadPresence
    | CountPresence
    | PublishData
    | HandOver
)
"""At most one of these is under way in a session."""
Effect = Write | Ping | Close | Refused | Leave | Call | Awaited
