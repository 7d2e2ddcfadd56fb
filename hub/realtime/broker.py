"""The broker port: where publications are kept and how they reach every hub process.

Adapters: `broker_memory.MemoryBroker` (one process, tests) and `broker_redis.RedisBroker`.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec


class BrokerUnavailableError(Exception):
    """The broker did not answer in time; whether the call had an effect is unknown."""


class StreamPosition(msgspec.Struct, frozen=True):
    """A place in a channel's stream: `offset` counts inside one `epoch`, the stream's life."""

    offset: int = 0
    epoch: str = ""


class HistoryOptions(msgspec.Struct, frozen=True):
    """How much a channel keeps; size 0 keeps nothing and its publications have no offset."""

    size: int = 0
    ttl_seconds: int = 0


class PublishRequest(msgspec.Struct, kw_only=True):
    """One publication. `data` and `info` are JSON texts, passed on byte for byte.

    With a key, a repetition inside the window returns the first position and publishes nothing. The
    window is never shorter than the history, so a late repetition cannot appear twice in a stream;
    a broker may end it after thousands of further publications in the channel.
    """

    channel: str
    data: bytes
    history: HistoryOptions = HistoryOptions()
    idempotency_key: str = ""
    idempotency_ttl_seconds: int = 300
    info: bytes = b""


class Publication(msgspec.Struct, frozen=True):
    """One stored publication: its JSON object without the offset, and the offset (0: not kept)."""

    payload: bytes
    offset: int = 0


class History(msgspec.Struct, frozen=True):
    """Publications in the order asked for, and the top of the stream at that moment."""

    publications: list[Publication]
    top: StreamPosition


OnPublication = Callable[[str, Publication, str], None]
"""Called with channel, publication and epoch, in the channel's order; must not block."""
OnGap = Callable[[], None]
"""Called after the subscriptions were restored: anything may have been missed meanwhile."""


class Broker(Protocol):
    """Keeps streams and delivers publications. Every call may raise BrokerUnavailableError."""

    @property
    def healthy(self) -> bool:
        """Whether the broker answered within the last two seconds."""
        ...

    async def start(
        self, on_publication: OnPublication | None = None, on_gap: OnGap | None = None
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

    async def subscribe(self, channel: str) -> None:
        """Deliver the channel from now on; returns when no later publication can be missed."""
        ...

    async def unsubscribe(self, channel: str) -> None:
        """Stop delivering the channel; never fails."""
        ...

    async def history(
        self, channel: str, *, since: int | None = None, limit: int = -1, reverse: bool = False
    ) -> History:
        """Read publications after (`reverse`: before) offset `since`; limit 0 reads only the top.

        A channel without a stream gets an epoch here, so that a subscriber of an empty channel can
        tell later whether it missed the beginning.
        """
        ...

    async def remove_history(self, channel: str, *, epoch: str = "") -> None:
        """Forget the stream, only in `epoch` when given; the next one has a new epoch."""
        ...


def encode_payload(request: PublishRequest) -> bytes:
    """Return a publication's JSON object without its offset, or raise ValueError for other bytes.

    The text goes to sockets as it is and frames are separated by line feeds: one inside is removed.
    """
    data = _one_line(request.data)
    if request.info:
        return b'{"data":' + data + b',"info":' + _one_line(request.info) + b"}"
    return b'{"data":' + data + b"}"


def _one_line(text: bytes) -> bytes:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        text.decode()
        return msgspec.json.format(text, indent=-1) if b"\n" in text or b"\r" in text else text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"a publication's data must be JSON: {error}") from None
