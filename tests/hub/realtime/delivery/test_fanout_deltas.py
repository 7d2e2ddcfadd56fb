"""Deltas and tags filters in the fan-out: whoever applies what arrives sees what was published."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from centrifuge.fossil import apply_delta
from centrifuge.protocol import client_pb2 as official
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime import codes
from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.delivery import deltas
from hub.realtime.delivery.fanout import Fanout
from hub.realtime.delivery.outlet import Direct
from hub.realtime.delivery.registry import Channel, Encoding, Registry
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.protobuf_framing import PROTOBUF
from tests.hub.realtime.protocol.test_protobuf_framing import unframed

KEPT = Namespace(
    history_size=10, history_ttl_seconds=60, force_recovery=True, force_positioning=True
)


class Reader:
    """A client: keeps what was published as an SDK reads it, and whether it came as a patch."""

    def __init__(self, framing: Framing = JSON, *, delta: bool = True) -> None:
        self.framing = framing
        self.delta = delta
        self.read: list[bytes] = []
        self.patched: list[bool] = []
        self.closed: list[codes.Disconnect] = []
        self.on_close: Callable[[], object] = bool

    @property
    def direct(self) -> Direct | None:
        return None

    def write(self, message: bytes) -> None:
        if self.framing is JSON:
            pub = json.loads(message)["push"]["pub"]
            data = pub["data"].encode() if self.delta else json.dumps(pub["data"]).encode()
            patched = pub.get("delta", False)
        else:
            (reply,) = unframed(message)
            data, patched = reply.push.pub.data, reply.push.pub.delta
        self.patched.append(patched)
        self.read.append(apply_delta(self.read[-1], data) if patched else data)

    def lose_state(self, channel: str) -> None:
        raise AssertionError(channel)

    def close(self, disconnect: codes.Disconnect) -> None:
        self.closed.append(disconnect)
        self.on_close()


class DirectReader(Reader):
    """A client whose socket takes frames; `send` is also its socket."""

    descriptor = -1
    deflated = False

    @property
    def direct(self) -> "DirectReader":
        return self

    def send(self, frames: bytes) -> None:
        place = 0
        while place < len(frames):
            assert frames[place] == (0x81 if self.framing is JSON else 0x82)
            size, place = frames[place + 1], place + 2
            if size == 126:
                size, place = int.from_bytes(frames[place : place + 2]), place + 2
            self.write(frames[place : place + size])
            place += size


def document(number: int) -> bytes:
    return json.dumps({"tick": number, "rest": ["unchanged"] * 20}).encode()


def publication(offset: int, tags: bytes = b"") -> Publication:
    return Publication(b'{"data":%b%b}' % (document(offset), tags), offset)


def live(registry: Registry, reader: Reader, offset: int, **settled: Any) -> Channel:
    channel = registry.enter("room:a", KEPT, reader)
    if channel.position is None:
        channel.position = StreamPosition(offset, "e")
    encoding = Encoding(reader.framing, delta=reader.delta)
    registry.settle(channel, reader, offset, encoding=encoding, **settled)
    return channel


def documents(*numbers: int) -> list[bytes]:
    return [document(number) for number in numbers]


@pytest.mark.parametrize("framing", [JSON, PROTOBUF])
def test_the_first_publication_is_whole_and_the_next_are_patches(framing: Framing):
    registry, fanout = Registry(), Fanout()
    early, late, plain = Reader(framing), Reader(framing), Reader(framing, delta=False)
    channel = live(registry, early, 0)
    live(registry, plain, 0)
    for offset in (1, 2):
        fanout.deliver(channel, publication(offset), "e")
    live(registry, late, 2)
    for offset in (3, 4):
        fanout.deliver(channel, publication(offset), "e")
    assert (early.read, early.patched) == (documents(1, 2, 3, 4), [False, True, True, True])
    assert (late.read, late.patched) == (documents(3, 4), [False, True])
    assert (plain.read, plain.patched) == (documents(1, 2, 3, 4), [False] * 4)


def test_one_who_is_ahead_gets_its_first_publication_whole():
    registry, fanout, first, ahead = Registry(), Fanout(), Reader(), Reader()
    channel = live(registry, first, 0)
    live(registry, ahead, 2)
    for offset in (1, 2, 3, 4):
        fanout.deliver(channel, publication(offset), "e")
    assert (first.read, first.patched) == (documents(1, 2, 3, 4), [False, True, True, True])
    assert (ahead.read, ahead.patched) == (documents(3, 4), [False, True])


def test_a_patch_that_is_no_smaller_is_not_sent():
    registry, fanout, reader = Registry(), Fanout(), Reader()
    channel = live(registry, reader, 0)
    for offset, data in ((1, b'"aaaa"'), (2, b'"bbbb"'), (3, b"3")):
        fanout.deliver(channel, Publication(b'{"data":%b}' % data, offset), "e")
    assert (reader.read, reader.patched) == ([b'"aaaa"', b'"bbbb"', b"3"], [False] * 3)


def test_after_lost_continuity_nothing_is_patched_against_the_past():
    registry, fanout, before, after = Registry(), Fanout(), Reader(), Reader()
    channel = live(registry, before, 0)
    for offset in (1, 2):
        fanout.deliver(channel, publication(offset), "e")
    assert fanout.invalidate(channel, StreamPosition(7, "f")) == [before]
    assert channel.last is None
    live(registry, after, 7)
    fanout.deliver(channel, publication(8), "f")
    assert (after.read, after.patched) == (documents(8), [False])


def test_bytes_that_are_no_json_are_patched_for_protobuf_and_close_json():
    registry, fanout, binary, text = Registry(), Fanout(), Reader(PROTOBUF), Reader()
    channel = live(registry, binary, 0)
    live(registry, text, 0)
    text.on_close = lambda: registry.leave("room:a", text)
    for offset, last in ((1, b"A"), (2, b"B")):
        stored = b'{"b64data":"' + b"A" * 120 + last + b'AAA"}'
        fanout.deliver(channel, Publication(stored, offset), "e")
    assert binary.patched == [False, True]
    assert [len(item) for item in binary.read] == [93, 93]
    assert binary.read[0] != binary.read[1]
    assert text.read == []
    assert text.closed == [codes.CLOSE_INAPPROPRIATE_PROTOCOL]
    assert list(channel.live) == [binary]


def test_the_last_data_is_forgotten_with_the_last_who_gets_patches():
    registry, fanout, reader, plain = Registry(), Fanout(), Reader(), Reader(delta=False)
    channel = live(registry, reader, 0)
    live(registry, plain, 0)
    fanout.deliver(channel, publication(1), "e")
    assert channel.last == document(1)
    registry.leave("room:a", reader)
    assert channel.last is None
    assert set(channel.audiences) == {Encoding(JSON)}


@pytest.mark.parametrize("framing", [JSON, PROTOBUF])
def test_a_filter_decides_by_tags_and_the_position_goes_on(framing: Framing):
    registry, fanout, reader = Registry(), Fanout(), Reader(framing, delta=False)
    channel = live(registry, reader, 0, tags_filter=lambda tags: tags.get("k") == "a")
    for offset, tags in ((1, b',"tags":{"k":"a"}'), (2, b',"tags":{"k":"b"}'), (3, b"")):
        fanout.deliver(channel, publication(offset, tags), "e")
    assert reader.read == documents(1)
    assert channel.position == StreamPosition(3, "e")


@pytest.mark.parametrize("framing", [JSON, PROTOBUF])
def test_recovered_publications_are_a_chain(framing: Framing):
    items = deltas.recovered(framing, [publication(offset) for offset in (4, 5, 6)])
    read: list[bytes] = []
    for item in items:
        if framing is JSON:
            pub = json.loads(bytes(item))
            data, patched = pub["data"].encode(), pub.get("delta", False)
        else:
            pub = official.Publication.FromString(bytes(item))
            data, patched = pub.data, pub.delta
        assert patched == bool(read)
        read.append(apply_delta(read[-1], data) if patched else data)
    assert read == documents(4, 5, 6)


def test_a_long_recovery_is_patched_only_in_part():
    large = [
        Publication(b'{"data":"%b%d"}' % (b"x" * 50_000, offset), offset) for offset in range(1, 8)
    ]
    patched = ["delta" in json.loads(bytes(item)) for item in deltas.recovered(JSON, large)]
    assert patched == [False, True, True, False, False, False, False]


steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "join", "join", "leave", "flush"]),
        st.integers(0, 7),
    ),
    max_size=30,
)


@given(steps, st.booleans())
def test_whoever_comes_and_goes_reads_what_was_published(moves: list[tuple[str, int]], kept: bool):
    registry, fanout = Registry(), Fanout()
    keeper = Reader(delta=False)
    channel = live(registry, keeper, 0)
    here: list[tuple[Reader, int]] = []
    published = 0
    for move, choice in moves:
        if move == "publish":
            published += 1
            item = publication(published) if kept else Publication(publication(published).payload)
            fanout.deliver(channel, item, "e" if kept else "")
        elif move == "join":
            fanout.flush()  # joining takes its turn after a read of the broker's connection
            reader = (Reader, DirectReader)[choice // 4]((JSON, PROTOBUF)[choice % 2])
            # Half of them have read one more from the history than this process was told yet.
            ahead = choice // 2 % 2 if kept else 0
            live(registry, reader, (published + ahead) if kept else 0)
            here.append((reader, published + ahead))
        elif move == "flush":
            fanout.flush()
        elif here:
            reader, _ = here.pop(choice % len(here))
            registry.leave("room:a", reader)
    fanout.flush()
    for reader, since in here:
        assert reader.read == documents(*range(since + 1, published + 1))
