"""One conformance suite for every broker: what the port promises, each adapter keeps."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core import config
from hub.realtime.broker import (
    Broker,
    HistoryOptions,
    Publication,
    PublishRequest,
    StreamPosition,
)
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.broker_redis import RedisBroker
from tests.hub.realtime.house import until

KEPT = HistoryOptions(size=5, ttl_seconds=60)


class Inbox:
    """What a process receives from its broker."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Publication, str]] = []

    def put(self, channel: str, publication: Publication, epoch: str) -> None:
        self.received.append((channel, publication, epoch))

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
    await broker.start(inbox.put)
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


async def test_removed_history_begins_a_new_epoch(broker: Broker):
    await fill(broker, 3)
    before = (await broker.history("room:a")).top
    await broker.remove_history("room:a", epoch="another")
    assert (await broker.history("room:a")).top == before
    await broker.remove_history("room:a", epoch=before.epoch)
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


async def test_a_healthy_broker_says_so(broker: Broker):
    assert broker.healthy
