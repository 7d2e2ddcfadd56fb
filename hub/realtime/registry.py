"""Who is subscribed here: channels of this process, each with its subscribers and its position.

A subscriber of a channel is in exactly one of three places: `joining` while its history is read
(what arrives meanwhile is kept for it), `ahead` when its history already showed publications that
this process has yet to receive, and `live` after that. Live subscribers all stand at the channel's
position, so one comparison per publication checks the position of all of them.
"""

import asyncio
from typing import Protocol

import msgspec

from hub.realtime import metrics
from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.json_framing import JSON


class Subscriber(Protocol):
    """What the registry and the fan-out need of a connection."""

    def write(self, message: bytes) -> None:
        """Queue one encoded message; never blocks, never raises."""
        ...

    def lose_state(self, channel: str) -> None:
        """Be told that publications of the channel were missed; the registry has let go of it."""
        ...


class Joining(msgspec.Struct):
    """What arrived while a subscriber's history is read; `broken` asks it to read again."""

    buffered: list[Publication] = msgspec.field(default_factory=list[Publication])
    broken: bool = False


class Channel:
    """One channel with at least one subscriber in this process."""

    __slots__ = (
        "ahead",
        "dropped_offset",
        "joining",
        "live",
        "name",
        "namespace",
        "opening",
        "position",
        "prefix",
        "quiet",
        "resync",
    )

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self.namespace = namespace
        self.prefix = JSON.push_prefix(name)
        self.position: StreamPosition | None = None
        self.live: dict[Subscriber, None] = {}
        self.ahead: dict[Subscriber, int] = {}
        self.joining: dict[Subscriber, Joining] = {}
        self.opening: asyncio.Task[None] | None = None
        """The broker subscription of this process, shared by all who join."""
        self.resync: asyncio.Task[None] | None = None
        """The comparison with the stream under way; publications that arrive are left to it."""
        self.dropped_offset = 0
        """The highest offset that arrived during a resync and was left to it."""
        self.quiet = True
        """Nothing arrived since the last periodic check of the position."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody here wants the channel any more."""
        return not (self.live or self.ahead or self.joining)


class Registry:
    """All channels of this process."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}

    def enter(self, name: str, namespace: Namespace, subscriber: Subscriber) -> Channel:
        """Begin a subscription: from now on nothing of the channel is lost for the subscriber."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, namespace)
            metrics.CHANNELS.inc()
        channel.joining[subscriber] = Joining()
        metrics.SUBSCRIPTIONS.inc()
        return channel

    def settle(self, channel: Channel, subscriber: Subscriber, offset: int) -> None:
        """End the joining of a subscriber who has everything up to `offset`."""
        del channel.joining[subscriber]
        if channel.position is not None and offset > channel.position.offset:
            channel.ahead[subscriber] = offset
        else:
            channel.live[subscriber] = None

    def leave(self, name: str, subscriber: Subscriber) -> bool:
        """End a subscription; True when the channel has no subscriber left and is gone."""
        channel = self.channels.get(name)
        if channel is None:
            return False
        found = False
        for group in (channel.live, channel.ahead, channel.joining):
            if subscriber in group:
                del group[subscriber]
                found = True
        if found:
            metrics.SUBSCRIPTIONS.dec()
        if not channel.is_empty:
            return False
        del self.channels[name]
        metrics.CHANNELS.dec()
        return True
