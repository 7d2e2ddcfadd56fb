"""The entrance of all publications: what is confirmed, what is broken, what is too much at once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import redis.asyncio

from core import config
from hub.realtime import metrics
from hub.realtime.broker import HistoryOptions, PublishRequest
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.link import RedisLink
from tests.fixtures.line import Line, open_line
from tests.fixtures.redis import RestartableRedis
from tests.hub.realtime.house import until


class Inbox:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.gaps = 0

    def put(self, _channel: str, publication: object, _epoch: str) -> None:
        self.payloads.append(publication.payload)  # pyright: ignore[reportAttributeAccessIssue]

    def gap(self) -> None:
        self.gaps += 1


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def line(redis_url: str) -> AsyncGenerator[Line]:
    async with open_line(redis_url) as line:
        yield line


@pytest.fixture
async def broker(line: Line, redis_prefix: str, inbox: Inbox) -> AsyncGenerator[RedisBroker]:
    broker = RedisBroker(config.Redis(url=line.url, key_prefix=redis_prefix))
    await broker.start(inbox.put, inbox.gap, on_join=lambda *_: None)
    yield broker
    await broker.close()


@pytest.fixture
async def direct(redis_url: str) -> AsyncGenerator[redis.asyncio.Redis]:
    direct = redis.asyncio.Redis.from_url(redis_url)
    yield direct
    await direct.aclose()


async def test_a_subscription_is_not_confirmed_by_the_answer_to_an_earlier_one(
    broker: RedisBroker, line: Line
):
    line.hang()
    first = asyncio.create_task(broker.subscribe("room:a"))
    await asyncio.sleep(0)
    await broker.unsubscribe("room:a")
    second = asyncio.create_task(broker.subscribe("room:a"))
    await asyncio.sleep(0)
    name = broker._subscriptions._prefix + b"room:a"
    broker._subscriptions._confirm(name)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not second.done()
    broker._subscriptions._confirm(name)
    await second
    assert (await asyncio.gather(first, return_exceptions=True))[0] is not None
    line.mend()


async def test_what_is_given_up_during_a_reconnect_is_given_up_in_redis_too(
    broker: RedisBroker, line: Line, direct: redis.asyncio.Redis, redis_prefix: str
):
    for channel in ("plain:a", "plain:b"):
        await broker.subscribe(channel)
    subscribe_again = broker._subscriptions._subscribe_again

    async def give_up_one(link: RedisLink) -> list[bytes]:
        names = await subscribe_again(link)
        await broker.unsubscribe("plain:a")
        return names

    broker._subscriptions._subscribe_again = give_up_one
    line.cut()
    await until(lambda: not broker.healthy)
    line.mend()
    await until(lambda: broker.healthy)
    await broker.subscribe("plain:c")  # confirmed behind everything before it
    names = [f"{redis_prefix}:channel:plain:{letter}" for letter in "abc"]
    assert [count for _, count in await direct.pubsub_numsub(*names)] == [0, 1, 1]


async def test_several_who_wait_for_one_subscription_cost_one_command(
    broker: RedisBroker, direct: redis.asyncio.Redis
):
    before = (await direct.info("commandstats")).get("cmdstat_subscribe", {"calls": 0})["calls"]
    await asyncio.gather(*(broker.subscribe("room:a") for _ in range(20)))
    await broker.subscribe("room:a")
    after = (await direct.info("commandstats"))["cmdstat_subscribe"]["calls"]
    assert after == before + 1


@pytest.mark.parametrize("message", [b"", b"1:e", b"x:e:{}", b"j::nonsense", b"1:\xff:{}"])
async def test_what_nobody_can_read_is_dropped_and_the_next_delivered(
    broker: RedisBroker,
    inbox: Inbox,
    direct: redis.asyncio.Redis,
    redis_prefix: str,
    message: bytes,
):
    await broker.subscribe("plain:a")
    dropped = metrics.PUB_SUB_DROPPED._value.get()
    await direct.publish(f"{redis_prefix}:channel:plain:a", message)
    await broker.publish(PublishRequest(channel="plain:a", data=b"1"))
    await until(lambda: inbox.payloads == [b'{"data":1}'])
    assert metrics.PUB_SUB_DROPPED._value.get() == dropped + 1
    assert inbox.gaps == 0


async def test_the_lag_is_measured(broker: RedisBroker, line: Line):
    def count() -> float:
        return sum(bucket.get() for bucket in metrics.PUB_SUB_LAG_SECONDS._buckets)

    def slow() -> float:
        return sum(bucket.get() for bucket in metrics.PUB_SUB_LAG_SECONDS._buckets[6:])

    before, slow_before = count(), slow()
    await until(lambda: count() > before, "a pong")
    sent_at = time.monotonic()
    line.hang()
    await until(lambda: time.monotonic() - sent_at > 0.75)
    line.mend()
    await until(lambda: slow() > slow_before, "the late pong")
    assert broker.healthy


async def test_a_process_that_is_behind_does_not_blame_redis(
    redis_url: str, redis_prefix: str, inbox: Inbox
):
    """The pong stands in line behind publications that take longer than its deadline."""
    settings = config.Redis(url=redis_url, key_prefix=redis_prefix, call_deadline_seconds=0.5)
    behind = RedisBroker(settings)

    def take_long(*arguments: Any) -> None:
        time.sleep(0.02)
        inbox.put(*arguments)

    await behind.start(take_long, inbox.gap)
    await behind.subscribe("plain:a")
    with redis.Redis.from_url(redis_url) as direct:
        for _ in range(100):
            direct.publish(f"{redis_prefix}:channel:plain:a", b"0::" + b"x" * 100_000)
    await until(lambda: len(inbox.payloads) == 100)
    await until(lambda: behind.healthy)
    assert inbox.gaps == 0
    await behind.close()


async def test_a_process_too_slow_for_its_redis_is_cut_off_and_told_of_the_gap(
    start_redis: Callable[[], RestartableRedis], inbox: Inbox
):
    """Nothing queues up here: what this process does not read waits in Redis, up to its limit."""
    server = start_redis()
    settings = config.Redis(url=server.url)
    relay = RedisBroker(settings)
    direct = redis.asyncio.Redis.from_url(server.url)
    await direct.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 0")
    await relay.start()
    async with open_line(server.url) as line:
        slow = RedisBroker(config.Redis(url=line.url))
        await slow.start(inbox.put, inbox.gap)
        await slow.subscribe("room:a")
        line.hang()
        kept = HistoryOptions(size=10, ttl_seconds=60)
        big = PublishRequest(channel="room:a", data=b'"%b"' % (b"x" * 100_000), history=kept)
        for _ in range(100):
            await relay.publish_many([big] * 2)
        line.mend()
        await until(lambda: inbox.gaps == 1, "the gap to be told")
        assert len(inbox.payloads) < 200
        await until(lambda: slow.healthy)
        await slow.close()
    await relay.close()
    await direct.aclose()
