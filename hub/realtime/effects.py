"""What a session asks its shell to do, and what the shell reports back."""

import msgspec

from hub.realtime.broker import History, StreamPosition
from hub.realtime.codes import Disconnect, Error
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.protocol.tags_filter import TagsFilter


class Write(msgspec.Struct, frozen=True):
    """Queue one encoded message."""

    message: bytes


class Close(msgspec.Struct, frozen=True):
    """Send what is queued, then close the socket with this code."""

    disconnect: Disconnect


class Authenticate(msgspec.Struct, frozen=True):
    """Verify a token; report by `authenticated` or `not_authenticated`."""

    token: str


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription to be made. `ask` is set when only the application can say who may join."""

    channel: str
    namespace: Namespace
    ask: bool = False
    since: StreamPosition | None = None
    reject_unrecovered: bool = False
    delta: bool = False
    tags_filter: TagsFilter | None = None


class Join(msgspec.Struct, frozen=True):
    """Make subscriptions, all or none; report by `joined` or `not_joined`."""

    requests: list[JoinRequest]


class Joined(msgspec.Struct, frozen=True):
    """A subscription stands: the result for the reply, and pushes that follow it."""

    result: SubscribeResult
    late: list[bytes]


class Leave(msgspec.Struct, frozen=True):
    """End a subscription at once."""

    channel: str


class ReadHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Read a stream; report by `history_read` or `refused`."""

    channel: str
    since: int | None
    limit: int
    reverse: bool


class PublishData(msgspec.Struct, frozen=True, kw_only=True):
    """Publish for the client; report by `published` or `refused`."""

    channel: str
    namespace: Namespace
    data: bytes
    info: bytes


Effect = Write | Close | Authenticate | Join | Leave | ReadHistory | PublishData
HistoryAnswer = History | Error
