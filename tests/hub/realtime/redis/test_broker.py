"""What only Redis can do to us: vanish, hang, come back empty, forget scripts, evict keys."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import pytest
import redis

from core import config
from core.errors import ConfigError
from hub.realtime import broker as broker_port
from hub.realtime.broker import BrokerUnavailableError, HistoryOptions, PublishRequest
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.commands import RunScript
from hub.realtime.redis.link import RedisAddress, parse_address
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import running_seconds
from tests.hub.realtime.house import raises_eventually, until

KEPT = HistoryOptions(size=5, ttl_seconds=60)


def note(number: int, key: str = "", channel: str = "room:a") -> PublishRequest:
    return PublishRequest(channel=channel, data=b"%d" % number, history=KEPT, idempotency_key=key)


@pytest.fixture
def server(start_redis: Callable[[], RestartableRedis]) -> RestartableRedis:
    return start_redis()


@pytest.fixture
async def gaps() -> list[float]:
    return []


@pytest.fixture
def received() -> list[int]:
    return []


@pytest.fixture
async def broker(
    server: RestartableRedis, gaps: list[float], received: list[int]
) -> AsyncGenerator[RedisBroker]:
    broker = RedisBroker(config.Redis(url=server.url, call_deadline_seconds=1.0))
    await broker.start(
        lambda _channel, publication, _epoch: received.append(publication.offset),
        lambda: gaps.append(running_seconds()),
    )
    yield broker
    await broker.close()


def direct(server: RestartableRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


async def test_a_killed_redis_is_noticed_at_once_and_found_again(
    server: RestartableRedis, broker: RedisBroker, gaps: list[float]
):
    await broker.subscribe("room:a")
    server.kill()
    await until(lambda: not broker.healthy, "readiness to go red", 2.0)
    with pytest.raises(BrokerUnavailableError):
        await broker.publish(note(1))
    with pytest.raises(BrokerUnavailableError):
        await broker.subscribe("room:b")
    server.restart()
    await until(lambda: broker.healthy and gaps, "the broker to come back")
    assert (await broker.publish(note(1))).offset == 1


async def test_a_hanging_redis_is_noticed_within_two_seconds(
    server: RestartableRedis, broker: RedisBroker
):
    await broker.publish(note(1))
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        started_at = running_seconds()
        with pytest.raises(BrokerUnavailableError):
            await broker.publish(note(2, key="k"))
        assert running_seconds() - started_at < 1.5
        await until(lambda: not broker.healthy, "readiness to go red", 2.0)
        assert running_seconds() - started_at < 2.0
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
    await until(lambda: broker.healthy, "the broker to come back")
    # The hanging call may or may not have been carried out; its key makes repeating it safe.
    assert (await broker.publish(note(2, key="k"))).offset == 2
    assert (await broker.publish(note(3))).offset == 3


async def test_a_process_starts_while_redis_is_away(start_redis: Callable[[], RestartableRedis]):
    server = start_redis()
    server.kill()
    broker = RedisBroker(config.Redis(url=server.url, call_deadline_seconds=0.3))
    started_at = running_seconds()
    await broker.start(lambda *_: None)
    assert running_seconds() - started_at < 1.0
    assert not broker.healthy
    server.restart()
    await until(lambda: broker.healthy, "the broker to connect")
    await broker.close()


async def test_killed_client_connections_are_replaced_and_the_gap_is_told(
    server: RestartableRedis, broker: RedisBroker, gaps: list[float], received: list[int]
):
    await broker.subscribe("room:a")
    with direct(server) as client:
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal")
        await until(lambda: gaps, "the gap to be told")
    await until(lambda: broker.healthy, "the broker to come back")
    await broker.publish(note(1))
    await until(lambda: received == [1], "the channel to be delivered again")


async def test_flushed_scripts_cost_one_failed_call_at_most(
    server: RestartableRedis, broker: RedisBroker
):
    with direct(server) as client:
        client.script_flush()
    await raises_eventually(lambda: broker.publish(note(1, key="k")), BrokerUnavailableError)
    await until(lambda: broker.healthy, "the scripts to be loaded again")
    assert (await broker.publish(note(1, key="k"))).offset == 1


async def test_a_stream_whose_meta_was_evicted_begins_anew(
    server: RestartableRedis, broker: RedisBroker
):
    before = await broker.publish_many([note(1), note(2)])
    with direct(server) as client:
        assert client.delete("ping:meta:{room:a}") == 1
    after = await broker.publish(note(3))
    assert after.offset == 1
    assert after.epoch != before[0].epoch
    history = await broker.history("room:a")
    assert [item.offset for item in history.publications] == [1]


async def test_keys_outlive_the_history_and_everything_expires(
    server: RestartableRedis, broker: RedisBroker
):
    await broker.publish(note(1, key="event"))
    await broker.publish(PublishRequest(channel="plain:a", data=b"1", idempotency_key="event"))
    await broker.history("room:empty", limit=0)
    with direct(server) as client:
        assert client.ttl("ping:keys:{room:a}") == pytest.approx(300, abs=5)
        assert client.ttl("ping:result:{plain:a}:event") == pytest.approx(300, abs=5)
        assert client.ttl("ping:stream:{room:a}") == pytest.approx(60, abs=5)
        for key in client.scan_iter():
            assert client.ttl(key) > 0, key


async def test_a_stream_remembers_its_keys_as_long_as_it_goes_on(
    server: RestartableRedis, broker: RedisBroker
):
    """Also beyond the window of the first: what the stream may still show is not shown twice."""
    await broker.publish(note(1, key="event"))
    with direct(server) as client:
        client.expire("ping:keys:{room:a}", 1)
        client.expire("ping:stream:{room:a}", 1)
        await broker.publish(note(2, key="another"))
        assert client.ttl("ping:stream:{room:a}") > 1
        assert client.ttl("ping:keys:{room:a}") > 1
    assert (await broker.publish(note(1, key="event"))).offset == 1


async def test_events_of_a_day_cost_a_bounded_memory(
    server: RestartableRedis, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(broker_port, "KEYS_MIN", 100)
    for first in range(0, 2000, 500):
        await broker.publish_many(
            [note(number, key=f"event-{number}") for number in range(first, first + 500)]
        )
    with direct(server) as client:
        assert client.dbsize() <= 3
        assert client.zcard("ping:keys:{room:a}") == 100
    assert (await broker.publish(note(1, key="event-1950"))).offset == 1951


async def test_a_redis_that_refuses_writes_is_unavailable_and_stores_nothing(
    server: RestartableRedis, broker: RedisBroker
):
    with direct(server) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(BrokerUnavailableError):
            await broker.publish(note(1))
        client.config_set("maxmemory", 0)
    assert (await broker.publish(note(1))).offset == 1


async def test_a_redis_that_comes_back_with_less_than_it_said_ends_the_epoch(
    server: RestartableRedis, broker: RedisBroker
):
    """Nobody is subscribed: what the publisher remembers of its own is enough."""
    before = (await broker.publish_many([note(number) for number in range(1, 4)]))[-1]
    await broker.publish(note(1, channel="room:whole"))
    whole = (await broker.history("room:whole")).top
    await _bring_back_with(server, broker, {"room:a": 2})
    await until(lambda: broker.healthy, "the broker to come back")
    assert (await broker.history("room:a", limit=0)).top.epoch != before.epoch
    assert (await broker.history("room:whole")).top == whole


async def test_the_loss_is_found_also_when_others_have_published_since(
    server: RestartableRedis, broker: RedisBroker
):
    before = (await broker.publish_many([note(number) for number in range(1, 4)]))[-1]
    # Another process finds Redis first: offset 3 is given a second time, and 4.
    other = RedisBroker(config.Redis(url=server.url, call_deadline_seconds=1.0))
    testify, held = broker.commands._on_connect, asyncio.Event()
    assert testify is not None

    async def testify_late(run: RunScript, run_id: str) -> None:
        await held.wait()
        await testify(run, run_id)

    broker.commands._on_connect = testify_late
    await _bring_back_with(server, broker, {"room:a": 2})
    await other.start()
    assert (await other.publish_many([note(3), note(4)]))[-1].offset == 4
    assert (await other.history("room:a")).top.epoch == before.epoch
    held.set()
    await until(lambda: broker.healthy, "the broker to come back")
    assert (await other.history("room:a", limit=0)).top.epoch != before.epoch
    await other.close()


async def test_what_was_only_received_is_remembered_too(
    server: RestartableRedis, broker: RedisBroker, received: list[int]
):
    other = RedisBroker(config.Redis(url=server.url, call_deadline_seconds=1.0))
    await other.start()
    await broker.subscribe("room:a")
    await broker.subscribe("room:b")
    await other.publish_many([note(1), note(2), note(1, channel="room:b")])
    await until(lambda: len(received) == 3)
    await broker.unsubscribe("room:b")
    epochs = [(await other.history(name)).top.epoch for name in ("room:a", "room:b")]
    await other.close()
    await _bring_back_with(server, broker, {"room:a": 1, "room:b": 0})
    await until(lambda: broker.healthy, "the broker to come back")
    for name, epoch in zip(("room:a", "room:b"), epochs, strict=True):
        assert (await broker.history(name, limit=0)).top.epoch != epoch


async def test_a_restart_without_loss_keeps_every_epoch(
    server: RestartableRedis, broker: RedisBroker
):
    before = (await broker.publish_many([note(1), note(2)]))[-1]
    for _ in range(2):
        server.kill()
        await until(lambda: not broker.healthy)
        server.restart()
        await until(lambda: broker.healthy, "the broker to come back")
        after = await broker.publish(note(3))
        assert (after.offset, after.epoch) == (before.offset + 1, before.epoch)
        before = after


async def _bring_back_with(
    server: RestartableRedis, broker: RedisBroker, tops: dict[str, int]
) -> None:
    """Restart Redis with tops lower than it acknowledged, as after a lost disk cache."""
    for channel, top in tops.items():
        with direct(server) as client:
            client.hset(f"ping:meta:{{{channel}}}", "s", str(top))
            stream = f"ping:stream:{{{channel}}}"
            kept = cast("list[Any]", client.xrange(stream, max=f"{top}-0"))
            client.delete(stream)
            for entry_id, fields in kept:
                client.xadd(stream, fields, id=entry_id)
    server.kill()
    await until(lambda: not broker.healthy)
    server.restart()


async def test_a_cancelled_call_does_not_shift_the_answers_of_others(broker: RedisBroker):
    calls = [asyncio.create_task(broker.publish(note(number))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    offsets = [result.offset for result in results[1::2]]  # pyright: ignore[reportAttributeAccessIssue]
    assert offsets == list(range(2, 21, 2))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", RedisAddress(host="h")),
        (
            "redis://:p%40ss@h:7000/3",
            RedisAddress(host="h", port=7000, password="p@ss", database=3),
        ),
        ("rediss://u:p@h", RedisAddress(host="h", username="u", password="p", tls=True)),
        ("unix:///run/redis.sock?db=2", RedisAddress(path="/run/redis.sock", database=2)),
    ],
)
def test_addresses_are_read(url: str, address: RedisAddress):
    assert parse_address(url) == address
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize("url", ["http://h", "redis://", "redis://h:port", "redis://h/db", ""])
def test_a_wrong_address_is_a_configuration_error(url: str):
    with pytest.raises(ConfigError):
        RedisBroker(config.Redis(url=url))
