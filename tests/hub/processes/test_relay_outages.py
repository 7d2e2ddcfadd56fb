"""Every committed event leaves the outbox once, whatever dies or fails on the way."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import config
from core.db import Pool
from hub.processes import relay
from hub.realtime.broker import BrokerUnavailableError, PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.postgres import Database
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import create_world
from tests.hub.processes.relaying import (
    CONSUMERS_OF_A_TAP,
    SETTINGS,
    Kicks,
    broker,
    emit,
    published,
    tap,
)

__all__ = ["broker"]


async def test_redis_away_loses_nothing_and_commits_nothing(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)

    async def publish(_requests: list[PublishRequest]) -> None:
        raise BrokerUnavailableError

    with pytest.raises(BrokerUnavailableError):
        await relay.relay_batch(system_pool, publish, Kicks(), SETTINGS)
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 1
    assert await admin.fetchval("SELECT count(*) FROM consumer_tasks") == 0
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    assert len(await published(broker, f"taps:{world.user_id}")) == 1


async def test_a_batch_that_is_repeated_after_publishing_is_published_once(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)

    async def publish_and_die(requests: list[PublishRequest]) -> None:
        await broker.publish_many(requests)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await relay.relay_batch(system_pool, publish_and_die, Kicks(), SETTINGS)
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    assert len(await published(broker, f"taps:{world.user_id}")) == 1


async def test_an_event_that_cannot_be_decoded_is_buried_and_blocks_nothing(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    poison = await emit(admin, world, label={"not": "text"})
    unknown = await admin.fetchval(
        "SELECT app.emit('ring.exploded', $1, 'ring', $2, '{}')", world.user_id, world.ring_id
    )
    healthy = await emit(admin, world, label="fine")
    carried = await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    assert carried == 3
    assert [item["id"] for item in await published(broker, f"taps:{world.user_id}")] == [
        str(healthy)
    ]
    letters = await admin.fetch(
        "SELECT event_id, consumer, status, last_error FROM consumer_tasks ORDER BY event_id"
    )
    assert [(row["event_id"], row["consumer"], row["status"]) for row in letters] == [
        (poison, "relay", "dead"),
        (unknown, "relay", "dead"),
    ]
    assert "label" in letters[0]["last_error"]
    assert "ring.exploded" in letters[1]["last_error"]


async def test_an_event_that_the_broker_cannot_take_is_buried_alone(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await emit(admin, world, label="poison")
    await emit(admin, world, label="fine")

    async def publish(requests: list[PublishRequest]) -> None:
        if any(b"poison" in request.data for request in requests):
            raise ValueError("not acceptable")
        await broker.publish_many(requests)

    await relay.relay_batch(system_pool, publish, Kicks(), SETTINGS)
    [publication] = await published(broker, f"taps:{world.user_id}")
    assert publication["data"]["label"] == "fine"
    assert await admin.fetchval("SELECT count(*) FROM consumer_tasks WHERE status = 'dead'") == 1
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("step", ["deliver", "requests_of"])
async def test_an_event_on_which_our_own_code_fails_is_buried_and_blocks_nothing(
    admin: Any,
    system_pool: Pool,
    broker: MemoryBroker,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    world = await create_world(admin)
    poison = await emit(admin, world)
    good = await emit(admin, world)
    original = getattr(relay, step)

    def fail_for_one(item: Any, *more: Any) -> Any:
        if item.event_id == poison:
            raise KeyError("a table of ours has no such row")
        return original(item, *more)

    monkeypatch.setattr(relay, step, fail_for_one)
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    told = [item["id"] for item in await published(broker, f"taps:{world.user_id}")]
    assert told == [str(good)]
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 0
    assert await admin.fetchval("SELECT array_agg(event_id) FROM consumer_tasks") == [poison]


# Ends the process like a power cut at a point given by name.
_CRASHING_RELAY = """
import os
from core import config
from hub.domains.events import service
from hub.processes import relay
from hub.realtime.cluster import orders as control_orders
from hub.realtime.redis.broker import RedisBroker

point = os.environ["CRASH_POINT"]
publish_many = RedisBroker.publish_many
finish_outbox = service.finish_outbox

async def publish(self, requests):
    if point == "before publishing":
        os._exit(9)
    answer = await publish_many(self, requests)
    if point == "after publishing":
        os._exit(9)
    return answer

async def finish(*args, **more):
    await finish_outbox(*args, **more)
    if point == "before commit":
        os._exit(9)

async def kick(*args):
    os._exit(9)

RedisBroker.publish_many = publish
service.finish_outbox = finish
if point == "after commit":
    relay.TaskCalls.kick = kick
relay.run(config.load())
"""


@pytest.mark.parametrize(
    "point", ["before publishing", "after publishing", "before commit", "after commit"]
)
async def test_a_relay_that_dies_anywhere_publishes_once_and_loses_no_task(
    admin: Any, process_settings: dict[str, str], tmp_path: Path, point: str
) -> None:
    world = await create_world(admin)
    for seq in range(1, 6):
        await tap(admin, world, seq=seq)
    crashing = {**process_settings, "CRASH_POINT": point}
    with HubProcess("relay", crashing, tmp_path / "dead.log", script=_CRASHING_RELAY) as dead:
        assert dead.wait() == 9
    with HubProcess("relay", process_settings, tmp_path / "relay.log") as process:
        process.ready()
        await outbox_empty(admin)
        assert process.stop() == 0
    redis = config.Redis(
        url=process_settings["REDIS_URL"], key_prefix=process_settings["PINGHUB_REDIS__KEY_PREFIX"]
    )
    broker = RedisBroker(redis)
    await broker.start()
    found = await published(broker, f"taps:{world.user_id}")
    await broker.close()
    assert [item["data"]["seq"] for item in found] == [1, 2, 3, 4, 5]
    tasks = await admin.fetch("SELECT consumer, count(*) FROM consumer_tasks GROUP BY consumer")
    assert dict(tasks) == dict.fromkeys(CONSUMERS_OF_A_TAP, 5)


async def test_a_relay_waits_for_redis_and_goes_on_by_itself(
    admin: Any, database: Database, start_redis: Callable[[], RestartableRedis], tmp_path: Path
) -> None:
    redis = start_redis()
    world = await create_world(admin)
    settings = environment(tmp_path, database, redis_url=redis.url, prefix="test")
    with HubProcess("relay", settings, tmp_path / "relay.log") as process:
        process.ready()
        await tap(admin, world, seq=1)
        await outbox_empty(admin)
        redis.kill()
        await tap(admin, world, seq=2)
        wait_until(lambda: '"redis"' in process.log.read_text(), "the outage to be seen")
        assert await admin.fetchval("SELECT count(*) FROM outbox") == 1
        redis.restart()
        await outbox_empty(admin)
        assert process.stop() == 0


async def outbox_empty(admin: Any, seconds: float = 15.0) -> None:
    """Wait until everything was relayed."""
    deadline = time.monotonic() + seconds
    while await admin.fetchval("SELECT count(*) FROM outbox"):
        assert time.monotonic() < deadline, "the outbox stays full"
        await asyncio.sleep(0.01)
