"""From a publication to its subscribers: positions, late joiners, gaps."""

from hub.realtime import codes
from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.delivery.fanout import Arrival, Fanout
from hub.realtime.delivery.outlet import Direct
from hub.realtime.delivery.registry import Channel, Encoding, Registry
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.json_framing import JSON

KEPT = Namespace(
    history_size=10, history_ttl_seconds=60, force_recovery=True, force_positioning=True
)


class Recorder:
    """A subscriber that remembers what it was given."""

    framing: Framing = JSON
    direct: Direct | None = None

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: list[codes.Disconnect] = []

    def write(self, message: bytes) -> None:
        self.frames.append(message)

    def lose_state(self, channel: str) -> None:
        raise AssertionError(channel)

    def close(self, disconnect: codes.Disconnect) -> None:
        self.closed.append(disconnect)


def publication(offset: int) -> Publication:
    return Publication(b'{"data":%d}' % offset, offset)


def live(registry: Registry, subscriber: Recorder, offset: int = 0) -> Channel:
    channel = registry.enter("room:a", KEPT, subscriber)
    if channel.position is None:
        channel.position = StreamPosition(offset, "e")
    registry.settle(channel, subscriber, offset, encoding=Encoding(JSON))
    return channel


def test_all_live_subscribers_share_the_bytes_of_one_frame():
    registry, first, second = Registry(), Recorder(), Recorder()
    channel = live(registry, first)
    live(registry, second)
    assert Fanout().deliver(channel, publication(1), "e") is Arrival.DELIVERED
    assert first.frames == [b'{"push":{"channel":"room:a","pub":{"data":1,"offset":1}}}']
    assert first.frames[0] is second.frames[0]
    assert channel.position == StreamPosition(1, "e")


def test_a_publication_is_delivered_once():
    subscriber = Recorder()
    channel = live(Registry(), subscriber)
    Fanout().deliver(channel, publication(1), "e")
    assert Fanout().deliver(channel, publication(1), "e") is Arrival.DUPLICATE
    assert len(subscriber.frames) == 1


def test_a_gap_and_another_epoch_are_seen_and_nothing_is_delivered():
    subscriber = Recorder()
    channel = live(Registry(), subscriber)
    assert Fanout().deliver(channel, publication(2), "e") is Arrival.GAP
    assert Fanout().deliver(channel, publication(1), "other") is Arrival.EPOCH_CHANGED
    assert subscriber.frames == []
    assert channel.position == StreamPosition(0, "e")


def test_a_joining_subscriber_gets_nothing_yet_and_loses_nothing():
    registry, first, second = Registry(), Recorder(), Recorder()
    channel = live(registry, first)
    registry.enter("room:a", KEPT, second)
    Fanout().deliver(channel, publication(1), "e")
    assert second.frames == []
    assert [item.offset for item in channel.joining[second].buffered] == [1]


def test_one_who_is_ahead_skips_what_history_already_showed():
    registry, first, second = Registry(), Recorder(), Recorder()
    channel = live(registry, first)
    live(registry, second, offset=2)
    for offset in (1, 2, 3):
        Fanout().deliver(channel, publication(offset), "e")
    assert len(first.frames) == 3
    assert second.frames == first.frames[2:]
    assert second in channel.live


def test_the_last_to_leave_ends_the_channel():
    registry, first, second = Registry(), Recorder(), Recorder()
    live(registry, first)
    live(registry, second)
    assert not registry.leave("room:a", first)
    assert registry.leave("room:a", second)
    assert registry.channels == {}
    assert not registry.leave("room:a", second)


def test_losing_continuity_lets_go_of_everybody():
    registry, first, second, third = Registry(), Recorder(), Recorder(), Recorder()
    channel = live(registry, first)
    live(registry, second, offset=5)
    registry.enter("room:a", KEPT, third)
    lost = Fanout().invalidate(channel, StreamPosition(7, "new"))
    assert lost == [first, second]
    assert channel.joining[third].broken
    assert channel.position == StreamPosition(7, "new")
