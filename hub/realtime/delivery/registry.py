"""Who is subscribed here: channels of this process, each with its subscribers and its position.

A subscriber of a channel is in exactly one of three places: `joining` while its history is read
(what arrives meanwhile is kept for it), `ahead` when its history already showed publications that
this process has yet to receive, and in an audience after that. Everybody in an audience stands at
the channel's position, so one comparison per publication checks the position of all of them.
"""

import asyncio
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import msgspec

from hub.realtime import codes, metrics
from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.delivery.outlet import Direct
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.tags_filter import TagsFilter


class Subscriber(Protocol):
    """What the registry and the fan-out need of a connection."""

    @property
    def framing(self) -> Framing:
        """The format that the client speaks."""
        ...

    @property
    def direct(self) -> Direct | None:
        """Where shared frames go; without it everything goes through `write`."""
        ...

    def write(self, message: bytes) -> None:
        """Queue one encoded message; never blocks, never raises."""
        ...

    def lose_state(self, channel: str) -> None:
        """Be told that publications of the channel were missed; the registry has let go of it."""
        ...

    def close(self, disconnect: codes.Disconnect) -> None:
        """Be closed, because it cannot be given what it subscribed to."""
        ...


class Encoding(NamedTuple):
    """What a publication's bytes depend on: each is made once, however many get it."""

    framing: Framing
    delta: bool = False
    patched: bool = False
    """With deltas: everybody has the publication before. The first one is sent whole."""
    deflated: bool = False


_encodings: Final[dict[Encoding, Encoding]] = {}
"""One value of each kind for all channels."""


class Audience:
    """Subscribers of one channel who are sent the same bytes."""

    __slots__ = ("direct", "encoding", "filtered", "pending", "prefix", "queued")

    def __init__(self, channel: str, encoding: Encoding) -> None:
        self.encoding = encoding
        self.prefix = encoding.framing.push_prefix(channel)
        self.queued: dict[Subscriber, None] = {}
        self.direct: dict[Subscriber, Direct] = {}
        self.filtered: dict[Subscriber, TagsFilter] = {}
        """Walked one by one: their tags decide."""
        self.pending: list[bytes] = []
        """Frames for `direct` that were prepared since the last flush."""

    def __iter__(self) -> Iterator[Subscriber]:
        yield from self.queued
        yield from self.direct
        yield from self.filtered

    def __contains__(self, subscriber: Subscriber) -> bool:
        return any(subscriber in group for group in (self.queued, self.direct, self.filtered))

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here."""
        return not (self.queued or self.direct or self.filtered)

    def enter(self, subscriber: Subscriber, tags_filter: TagsFilter | None) -> None:
        """Send the subscriber everything from now on."""
        if tags_filter:
            self.filtered[subscriber] = tags_filter
        elif subscriber.direct:
            self.direct[subscriber] = subscriber.direct
        else:
            self.queued[subscriber] = None

    def leave(self, subscriber: Subscriber) -> bool:
        """Send the subscriber nothing more; True when it was here."""
        for group in (self.queued, self.direct, self.filtered):
            if subscriber in group:
                del group[subscriber]
                return True
        return False


class Ahead(NamedTuple):
    """A subscriber who has everything up to `offset`, and the place that waits for it."""

    offset: int
    audience: Audience
    tags_filter: TagsFilter | None


class Joining(msgspec.Struct):
    """What arrived while a subscriber's history is read; `broken` asks it to read again."""

    buffered: list[Publication] = msgspec.field(default_factory=list[Publication])
    broken: bool = False


class Channel:
    """One channel with at least one subscriber in this process."""

    __slots__ = (
        "ahead",
        "audiences",
        "dropped_offset",
        "is_open",
        "joining",
        "last",
        "name",
        "namespace",
        "opening",
        "position",
        "quiet",
        "resync",
    )

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self.namespace = namespace
        self.position: StreamPosition | None = None
        self.audiences: dict[Encoding, Audience] = {}
        self.ahead: dict[Subscriber, Ahead] = {}
        self.joining: dict[Subscriber, Joining] = {}
        self.last: bytes | None = None
        """The data of the newest publication, while somebody gets patches against it."""
        self.opening: asyncio.Task[None] | None = None
        """The broker subscription of this process on its way, shared by all who join."""
        self.is_open = False
        """The broker delivers the channel to this process."""
        self.resync: asyncio.Task[None] | None = None
        """The comparison with the stream under way; publications that arrive are left to it."""
        self.dropped_offset = 0
        """The highest offset that arrived during a resync and was left to it."""
        self.quiet = True
        """Nothing arrived since the last periodic check of the position."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody here wants the channel any more."""
        return not (self.audiences or self.ahead or self.joining)

    @property
    def subscriber_count(self) -> int:
        """How many are here, without those who are still joining."""
        groups = (
            group
            for item in self.audiences.values()
            for group in (item.queued, item.direct, item.filtered)
        )
        return len(self.ahead) + sum(map(len, groups))

    @property
    def live(self) -> Iterator[Subscriber]:
        """Everybody who stands at the channel's position."""
        for audience in self.audiences.values():
            yield from audience

    def audience(self, encoding: Encoding) -> Audience:
        """Return the audience of an encoding, a new one if there is none."""
        audience = self.audiences.get(encoding)
        if audience is None:
            encoding = _encodings.setdefault(encoding, encoding)
            audience = self.audiences[encoding] = Audience(self.name, encoding)
        return audience

    def drop_empty_audiences(self) -> None:
        """Forget encodings that nobody uses or waits for."""
        awaited = [item.audience for item in self.ahead.values()]
        for encoding, audience in list(self.audiences.items()):
            if audience.is_empty and audience not in awaited:
                del self.audiences[encoding]
        if not any(encoding.patched for encoding in self.audiences):
            self.last = None


class Registry:
    """All channels of this process."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.subscription_count = 0

    def enter(self, name: str, namespace: Namespace, subscriber: Subscriber) -> Channel:
        """Begin a subscription: from now on nothing of the channel is lost for the subscriber."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, namespace)
            metrics.CHANNELS.inc()
        channel.joining[subscriber] = Joining()
        self.subscription_count += 1
        metrics.SUBSCRIPTIONS.inc()
        return channel

    def settle(
        self,
        channel: Channel,
        subscriber: Subscriber,
        offset: int,
        *,
        encoding: Encoding,
        tags_filter: TagsFilter | None = None,
    ) -> None:
        """End the joining of a subscriber who has everything up to `offset`."""
        del channel.joining[subscriber]
        if not channel.joining:
            channel.joining.clear()  # gives back the table of a dict that was used once
        if subscriber.direct and subscriber.direct.deflated and not tags_filter:
            encoding = encoding._replace(deflated=True)
        audience = channel.audience(encoding)
        if channel.position is not None and offset > channel.position.offset:
            channel.ahead[subscriber] = Ahead(offset, audience, tags_filter)
        else:
            audience.enter(subscriber, tags_filter)

    def forget(self, subscriptions: int) -> None:
        """Count subscriptions that have ended."""
        self.subscription_count -= subscriptions
        metrics.SUBSCRIPTIONS.dec(subscriptions)

    def position_of(self, name: str, subscriber: Subscriber) -> StreamPosition | None:
        """Return how far a subscriber has come; None while it is joining or not there."""
        channel = self.channels.get(name)
        if channel is None or subscriber in channel.joining:
            return None
        position = channel.position or StreamPosition()
        ahead = channel.ahead.get(subscriber)
        return StreamPosition(ahead.offset, position.epoch) if ahead else position

    def leave(self, name: str, subscriber: Subscriber) -> bool:
        """End a subscription; True when the channel has no subscriber left and is gone."""
        channel = self.channels.get(name)
        if channel is None:
            return False
        found = subscriber in channel.joining or subscriber in channel.ahead
        channel.joining.pop(subscriber, None)
        channel.ahead.pop(subscriber, None)
        found = any(item.leave(subscriber) for item in channel.audiences.values()) or found
        if found:
            self.forget(1)
        channel.drop_empty_audiences()
        if not channel.is_empty:
            return False
        del self.channels[name]
        metrics.CHANNELS.dec()
        return True
