"""One conformance suite for every broker: what the port promises, each adapter keeps."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from msgspec import Raw

from core import config
from hub.realtime.broker import (
    Broker,
    HistoryOptions,
    Publication,
    PublishRequest,
    StreamPosition,
    latest,
)
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.redis.broker import RedisBroker
from tests.hub.realtime.house import until

KEPT = HistoryOptions(size=5, ttl_seconds=60)


class Inbox:
    """What a process receives from its broker."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Publication, str]] = []

        self.told: list[tuple[str, str, ClientInfo]] = []
        self.batches = 0

    def put(self, channel: str, publication: Publication, epoch: str) -> None:
        self.received.append((channel, publication, epoch))

    def join(self, channel: str, info: ClientInfo) -> None:
        self.told.append(("join", channel, info))

    def leave(self, channel: str, info: ClientInfo) -> None:
        self.told.append(("leave", channel, info))

    def end_batch(self) -> None:
        self.batches += 1

    @property
    def offsets(self) -> list[int]:
        return [publication.offset for _, publication, _ in self.received]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(params=["memory", "redis"])
async def broker(request: pytest.FixtureRequest, inbox: Inbox) -> AsyncGenerator[Broker]:
    broker: Broker = MemoryBroker()
    if request.param == "redis":
        broker = RedisBroker(
            config.Redis(
                url=request.getfixturevalue("redis_url"),
                key_prefix=request.getfixturevalue("redis_prefix"),
            )
        )
    await broker.start(
        inbox.put, on_join=inbox.join, on_leave=inbox.leave, on_batch_end=inbox.end_batch
    )
    yield broker
    await broker.close()


def note(number: int, channel: str = "room:a", key: str = "", **more: object) -> PublishRequest:
    return PublishRequest(
        channel=channel,
        data=b'{"n":%d}' % number,
        history=KEPT,
        idempotency_key=key,
        **more,  # pyright: ignore[reportArgumentType]
    )


async def fill(broker: Broker, count: int) -> None:
    await broker.publish_many([note(number) for number in range(1, count + 1)])


async def test_offsets_count_from_one_inside_one_epoch(broker: Broker):
    positions = [await broker.publish(note(number)) for number in range(3)]
    assert [position.offset for position in positions] == [1, 2, 3]
    assert len({position.epoch for position in positions}) == 1
    assert positions[0].epoch


async def test_many_publications_keep_their_order(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    await fill(broker, 20)
    await until(lambda: len(inbox.received) == 20)
    assert inbox.offsets == list(range(1, 21))


async def test_only_subscribed_channels_are_delivered(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    await broker.subscribe("room:b")
    await broker.unsubscribe("room:b")
    await broker.publish(note(1, "room:b"))
    await broker.publish(note(2, "room:c"))
    position = await broker.publish(note(3, "room:a"))
    await until(lambda: inbox.received)
    assert inbox.received == [("room:a", Publication(b'{"data":{"n":3}}', 1), position.epoch)]


async def test_a_channel_can_be_subscribed_again(broker: Broker, inbox: Inbox):
    for _ in range(3):
        await broker.subscribe("room:a")
        await broker.unsubscribe("room:a")
    await broker.subscribe("room:a")
    await broker.publish(note(1))
    await until(lambda: inbox.received)
    assert inbox.offsets == [1]


async def test_history_is_read_after_before_forwards_and_backwards(broker: Broker):
    await fill(broker, 7)

    async def read(**options: object) -> list[int]:
        found = await broker.history("room:a", **options)  # pyright: ignore[reportArgumentType]
        assert found.top.offset == 7
        return [publication.offset for publication in found.publications]

    assert await read() == [3, 4, 5, 6, 7]
    assert await read(limit=0) == []
    assert await read(limit=2) == [3, 4]
    assert await read(since=5) == [6, 7]
    assert await read(since=5, limit=1) == [6]
    assert await read(since=7) == []
    assert await read(since=100) == []
    assert await read(reverse=True, limit=2) == [7, 6]
    assert await read(since=5, reverse=True) == [4, 3]
    assert await read(since=0, reverse=True) == []
    assert await read(since=0) == [3, 4, 5, 6, 7]


async def test_an_empty_channel_has_an_epoch_that_its_first_publication_keeps(broker: Broker):
    empty = await broker.history("room:new", limit=0)
    assert empty.top.offset == 0
    assert empty.top.epoch
    position = await broker.publish(note(1, "room:new"))
    assert position == StreamPosition(1, empty.top.epoch)


async def test_a_stream_goes_on_after_its_history_was_removed(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    await fill(broker, 3)
    before = (await broker.history("room:a")).top
    await broker.remove_history("room:a")
    after = await broker.history("room:a")
    assert (after.top, after.publications) == (before, [])
    assert await broker.publish(note(4)) == StreamPosition(4, before.epoch)
    assert [item.offset for item in (await broker.history("room:a", since=0)).publications] == [4]
    await until(lambda: inbox.offsets == [1, 2, 3, 4])


async def test_a_stream_that_was_ended_begins_a_new_epoch(broker: Broker):
    await fill(broker, 3)
    before = (await broker.history("room:a")).top
    await broker.end_stream("room:a", "another")
    assert (await broker.history("room:a")).top == before
    await broker.end_stream("room:a", before.epoch)
    after = await broker.history("room:a")
    assert after.top.offset == 0
    assert after.publications == []
    assert after.top.epoch != before.epoch


async def test_the_same_key_publishes_once(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    first = await broker.publish(note(1, key="event-1"))
    again = await broker.publish_many([note(1, key="event-1"), note(2, key="event-2")])
    assert again[0] == first
    assert again[1].offset == 2
    await until(lambda: len(inbox.received) == 2)
    await broker.publish(note(3))
    await until(lambda: len(inbox.received) == 3)
    assert inbox.offsets == [1, 2, 3]


async def test_keys_are_forgotten_with_their_stream(broker: Broker):
    first = await broker.publish(note(1, key="event-1"))
    await broker.remove_history("room:a")
    assert await broker.publish(note(1, key="event-1")) == first
    await broker.end_stream("room:a", first.epoch)
    assert (await broker.history("room:a")).top.offset == 0
    await broker.publish(note(2))
    again = await broker.publish(note(1, key="event-1"))
    assert (first.offset, again.offset) == (1, 2)
    assert again.epoch != first.epoch


async def test_keys_belong_to_their_channel(broker: Broker):
    await broker.publish(note(1, "room:a", key="event-1"))
    assert (await broker.publish(note(1, "room:b", key="event-1"))).offset == 1


async def test_a_key_may_guard_a_publication_without_history(broker: Broker, inbox: Inbox):
    await broker.subscribe("plain:a")
    request = PublishRequest(channel="plain:a", data=b"1", idempotency_key="k")
    assert await broker.publish(request) == StreamPosition(0, "")
    assert await broker.publish(request) == StreamPosition(0, "")
    await broker.publish(PublishRequest(channel="plain:a", data=b"2"))
    await until(lambda: len(inbox.received) == 2)
    assert [item[1].payload for item in inbox.received] == [b'{"data":1}', b'{"data":2}']


async def test_concurrent_publications_get_offsets_without_holes(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    positions = await asyncio.gather(*(broker.publish(note(number)) for number in range(50)))
    assert sorted(position.offset for position in positions) == list(range(1, 51))
    await until(lambda: len(inbox.received) == 50)
    assert inbox.offsets == list(range(1, 51))


async def test_data_passes_as_it_is_but_never_with_a_line_feed(broker: Broker, inbox: Inbox):
    await broker.subscribe("plain:a")
    texts = [b'{"a": [1,  2]}', '"\u00e4\\n"'.encode(), b'{\n "a":\r\n 1\n}']
    for text in texts:
        await broker.publish(PublishRequest(channel="plain:a", data=text, info=b'{"user":"u"}'))
    await until(lambda: len(inbox.received) == 3)
    payloads = [publication.payload for _, publication, _ in inbox.received]
    assert payloads[0] == b'{"data":{"a": [1,  2]},"info":{"user":"u"}}'
    assert payloads[1] == b'{"data":' + texts[1] + b',"info":{"user":"u"}}'
    assert payloads[2] == b'{"data":{"a":1},"info":{"user":"u"}}'


@pytest.mark.parametrize("data", [b"", b"{", b"nope", b'"\xff"', b"1 2", b"[" * 100_000])
async def test_data_that_is_no_json_is_refused_and_nothing_is_stored(broker: Broker, data: bytes):
    with pytest.raises(ValueError, match="must be JSON"):
        await broker.publish(PublishRequest(channel="room:a", data=data, history=KEPT))
    assert (await broker.history("room:a")).top.offset == 0


async def test_tags_and_time_follow_the_data(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    await broker.publish(note(1, tags={"kind": "x\ny"}, time_ms=7, info=b'{"user":"u"}'))
    await until(lambda: inbox.received)
    expected = b'{"data":{"n":1},"info":{"user":"u"},"tags":{"kind":"x\\ny"},"time":7}'
    assert inbox.received[0][1] == Publication(expected, 1)
    assert (await broker.history("room:a")).publications == [inbox.received[0][1]]


async def test_bytes_of_any_kind_are_kept_as_base64(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    request = PublishRequest(channel="room:a", data=b"\x00\xff\n{", binary=True, history=KEPT)
    await broker.publish(request)
    await until(lambda: inbox.received)
    assert inbox.received[0][1] == Publication(b'{"b64data":"AP8Kew=="}', 1)


async def test_what_is_not_newer_than_the_newest_version_is_not_published(
    broker: Broker, inbox: Inbox
):
    await broker.subscribe("room:a")
    top = await broker.publish(note(1, version=5))
    for version in (1, 4, 5):
        assert await broker.publish(note(9, version=version)) == top
    assert (await broker.publish(note(2, version=6))).offset == 2
    # An empty version epoch is compared with every other, another one begins anew.
    assert (await broker.publish(note(3, version=1, version_epoch="e"))).offset == 3
    assert (await broker.publish(note(9, version=1, version_epoch="e"))).offset == 3
    assert (await broker.publish(note(9, version=1))).offset == 3
    assert (await broker.publish(note(4))).offset == 4
    await until(lambda: len(inbox.received) == 4)
    assert [item[1].payload for item in inbox.received] == [
        b'{"data":{"n":%d}}' % number for number in range(1, 5)
    ]


async def test_versions_use_all_of_64_bits(broker: Broker):
    top = 2**64 - 1
    assert (await broker.publish(note(1, version=top - 1))).offset == 1
    assert (await broker.publish(note(2, version=top))).offset == 2
    assert (await broker.publish(note(9, version=top - 1))).offset == 2
    assert (await broker.publish(note(9, version=99))).offset == 2


async def test_versions_mean_nothing_without_history(broker: Broker, inbox: Inbox):
    await broker.subscribe("plain:a")
    for _ in range(2):
        await broker.publish(PublishRequest(channel="plain:a", data=b"1", version=3))
    await until(lambda: len(inbox.received) == 2)


async def test_a_version_that_was_refused_does_not_use_up_its_key(broker: Broker):
    await broker.publish(note(1, version=5))
    assert (await broker.publish(note(9, key="k", version=3))).offset == 1
    assert (await broker.publish(note(2, key="k", version=6))).offset == 2
    assert (await broker.publish(note(9, key="k", version=7))).offset == 2


async def test_joins_and_leaves_are_told_in_order_and_not_kept(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    ann = ClientInfo("änn", "c1", conn_info=Raw(b'{"a":1}'))
    bob = ClientInfo("bob", "c2", chan_info=Raw(b"\x00:\xff"))
    await broker.publish_join("room:a", ann)
    await broker.publish_join("room:b", bob)
    await broker.publish_leave("room:a", bob)
    await until(lambda: len(inbox.told) == 2)
    assert inbox.told == [("join", "room:a", ann), ("leave", "room:a", bob)]
    assert inbox.received == []
    assert (await broker.history("room:a")).top.offset == 0


async def test_the_end_of_each_batch_is_told(broker: Broker, inbox: Inbox):
    await broker.subscribe("room:a")
    await broker.publish_many([note(number) for number in range(100)])
    await until(lambda: len(inbox.received) == 100)
    # One read of the network brings many.
    assert 1 <= inbox.batches < 20


async def test_the_latest_publication_is_that_of_a_cache(broker: Broker):
    assert (await latest(broker, "room:a")).publications == []
    await fill(broker, 7)
    found = await latest(broker, "room:a")
    assert [item.offset for item in found.publications] == [7]
    assert found.top.offset == 7


async def test_a_healthy_broker_says_so(broker: Broker):
    assert broker.healthy
