"""The broker port: where publications are kept and how they reach every hub process.

Adapters: `broker_memory.MemoryBroker` (one process, tests) and `broker_redis.RedisBroker`.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from hub.realtime.protocol.messages import ClientInfo

NO_TAGS: Final[Mapping[str, str]] = {}
META_TTL_SECONDS: Final = 90 * 24 * 3600
"""The epoch outlives the publications by far: when it goes, every subscriber is told of a gap."""
KEYS_MIN: Final = 5000
"""A stream knows the keys of at least so many publications: more than relays have under way."""


class BrokerUnavailableError(Exception):
    """The broker did not answer in time; whether the call had an effect is unknown."""


class StreamPosition(msgspec.Struct, frozen=True):
    """A place in a channel's stream: `offset` counts inside one `epoch`, the stream's life."""

    offset: int = 0
    epoch: str = ""


class HistoryOptions(msgspec.Struct, frozen=True):
    """How much a channel keeps; size 0 keeps nothing and its publications have no offset.

    The meta (epoch and top) lives longer than the publications; 0 is the broker's own choice.
    """

    size: int = 0
    ttl_seconds: int = 0
    meta_ttl_seconds: int = 0


class PublishRequest(msgspec.Struct, kw_only=True):
    """One publication. `data` and `info` are JSON texts, passed on byte for byte.

    With a key, a repetition inside the window returns the first position and publishes nothing. The
    window is never shorter than the history, so a late repetition cannot appear twice in a stream;
    a broker may end it after thousands of further publications in the channel.

    With a version, a publication that is not newer than the newest of its stream does nothing and
    returns the top. Versions of another, non-empty `version_epoch` are always newer; channels
    without history ignore versions, as the original does.
    """

    channel: str
    data: bytes
    history: HistoryOptions = HistoryOptions()
    idempotency_key: str = ""
    idempotency_ttl_seconds: int = 300
    info: bytes = b""
    tags: Mapping[str, str] = NO_TAGS
    version: int = 0
    version_epoch: str = ""
    binary: bool = False
    """`data` is bytes of any kind: only clients that speak Protobuf can be given it."""
    time_ms: int = 0
    """Unix time told to subscribers; 0 tells none."""


class Publication(msgspec.Struct, frozen=True, gc=False):
    """One stored publication: its JSON object without the offset, and the offset (0: not kept)."""

    payload: bytes
    offset: int = 0


class History(msgspec.Struct, frozen=True):
    """Publications in the order asked for, and the top of the stream at that moment."""

    publications: list[Publication]
    top: StreamPosition


OnPublication = Callable[[str, Publication, str], None]
"""Called with channel, publication and epoch, in the channel's order; must not block."""
OnInfo = Callable[[str, ClientInfo], None]
"""Called with a channel and the client that joined or left it; must not block."""
OnGap = Callable[[], None]
"""Called after the subscriptions were restored: anything may have been missed meanwhile."""
OnBatchEnd = Callable[[], None]
"""Called when all that one read from the network brought was delivered: time to write."""


class Broker(Protocol):
    """Keeps streams and delivers publications. Every call may raise BrokerUnavailableError."""

    @property
    def healthy(self) -> bool:
        """Whether the broker answered within the last two seconds."""
        ...

    async def start(
        self,
        on_publication: OnPublication | None = None,
        on_gap: OnGap | None = None,
        *,
        on_join: OnInfo | None = None,
        on_leave: OnInfo | None = None,
        on_batch_end: OnBatchEnd | None = None,
    ) -> None:
        """Begin to connect; without `on_publication` this process only publishes."""
        ...

    async def close(self) -> None:
        """Stop delivering and let go of connections."""
        ...

    async def publish(self, request: PublishRequest) -> StreamPosition:
        """Store and deliver as one atomic step; a channel's publications arrive in order."""
        ...

    async def publish_many(self, requests: list[PublishRequest]) -> list[StreamPosition]:
        """Publish in order in one round trip; after a failure repeat all with the same keys."""
        ...

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """Tell a channel's processes that a client joined; nothing is kept."""
        ...

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """Tell a channel's processes that a client left; nothing is kept."""
        ...

    async def subscribe(self, channel: str) -> None:
        """Deliver the channel from now on; returns when no later publication can be missed."""
        ...

    async def unsubscribe(self, channel: str) -> None:
        """Stop delivering the channel; never fails."""
        ...

    async def history(
        self,
        channel: str,
        *,
        since: int | None = None,
        limit: int = -1,
        reverse: bool = False,
        meta_ttl_seconds: int = 0,
    ) -> History:
        """Read publications after (`reverse`: before) offset `since`; limit 0 reads only the top.

        A channel without a stream gets an epoch here, so that a subscriber of an empty channel can
        tell later whether it missed the beginning.
        """
        ...

    async def remove_history(self, channel: str) -> None:
        """Forget the publications; the stream goes on: epoch, top and known keys stay."""
        ...

    async def end_stream(self, channel: str, epoch: str) -> None:
        """Forget the stream if it is in this epoch; the next one has a new epoch."""
        ...


def meta_ttl_of(history: HistoryOptions) -> int:
    """Return how long epoch and top live: never shorter than what they say of publications."""
    return max(history.meta_ttl_seconds or META_TTL_SECONDS, 2 * history.ttl_seconds)


def keys_kept(history: HistoryOptions) -> int:
    """Return of how many publications a stream knows the idempotency keys."""
    return max(KEYS_MIN, 2 * history.size)


async def latest(broker: Broker, channel: str, *, meta_ttl_seconds: int = 0) -> History:
    """Read the newest publication, if it is kept, and the top: recovery of a cache."""
    return await broker.history(channel, limit=1, reverse=True, meta_ttl_seconds=meta_ttl_seconds)


def encode_payload(request: PublishRequest) -> bytes:
    """Return a publication's JSON object without its offset, or raise ValueError for other bytes.

    The text goes to sockets as it is and frames are separated by line feeds: one inside is removed.
    """
    if request.binary:
        payload = b'{"b64data":"%b"' % b64encode(request.data)
    else:
        payload = b'{"data":%b' % _one_line(request.data)
    if request.info:
        payload += b',"info":%b' % _one_line(request.info)
    if request.tags:
        payload += b',"tags":%b' % msgspec.json.encode(request.tags)
    if request.time_ms:
        payload += b',"time":%d' % request.time_ms
    return payload + b"}"


def _one_line(text: bytes) -> bytes:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        text.decode()
        return msgspec.json.format(text, indent=-1) if b"\n" in text or b"\r" in text else text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"a publication's data must be JSON: {error}") from None
