"""From one publication to every subscriber: one prepared frame, one write each, nothing awaited."""

from enum import Enum, auto

from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.registry import Channel, Subscriber


class Arrival(Enum):
    """What a publication meant for the position of its channel."""

    DELIVERED = auto()
    DUPLICATE = auto()
    GAP = auto()
    EPOCH_CHANGED = auto()


def deliver(channel: Channel, publication: Publication, epoch: str) -> Arrival:
    """Hand a publication to all subscribers if it is the next one; otherwise say what it is."""
    offset = publication.offset
    channel.quiet = False
    if offset:
        arrival = _compare(channel.position, offset, epoch)
        if arrival is not Arrival.DELIVERED:
            return arrival
        channel.position = StreamPosition(offset, epoch)
    if channel.joining:
        for joining in channel.joining.values():
            joining.buffered.append(publication)
    if not channel.live and not channel.ahead:
        return Arrival.DELIVERED
    frame = JSON.publication_push(channel.prefix, publication)
    for subscriber in channel.live:
        subscriber.write(frame)
    if channel.ahead:
        _catch_up(channel, offset, frame)
    return Arrival.DELIVERED


def invalidate(channel: Channel, position: StreamPosition | None) -> list[Subscriber]:
    """Let go of everyone who can no longer be sure of the channel; joining ones read again."""
    lost = [*channel.live, *channel.ahead]
    channel.live.clear()
    channel.ahead.clear()
    for joining in channel.joining.values():
        joining.broken = True
    channel.position = position
    return lost


def _compare(position: StreamPosition | None, offset: int, epoch: str) -> Arrival:
    if position is None or (offset == position.offset + 1 and epoch == position.epoch):
        return Arrival.DELIVERED
    if epoch != position.epoch:
        return Arrival.EPOCH_CHANGED
    return Arrival.DUPLICATE if offset <= position.offset else Arrival.GAP


def _catch_up(channel: Channel, offset: int, frame: bytes) -> None:
    for subscriber, reached in list(channel.ahead.items()):
        if offset > reached:
            subscriber.write(frame)
        if offset >= reached:
            del channel.ahead[subscriber]
            channel.live[subscriber] = None
