"""The queue survives dead workers, an empty Redis and an absent one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError
from taskiq import AckableMessage
from taskiq.message import BrokerMessage

from core import config
from core.actor import SYSTEM
from core.config import Settings
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin, command, query
from core.errors import ConfigError, DomainError
from hub import queue
from hub.domains.events import service as events
from hub.domains.events.schemas import TaskKey
from hub.domains.housekeeping import service as housekeeping
from hub.queue import StreamBroker
from hub.wiring.calls import TaskCalls
from hub.wiring.slices import CONSUMERS, PERIODIC_TASKS, sealing_consumers, sealing_tasks
from tests.fixtures.gateway_identity import PKI
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.world import FIELD_KEYS

SECONDS = 10
ADD_DONE_TASKS = command(
    """
    INSERT INTO consumer_tasks (event_id, occurred_at, consumer, status, updated_at)
    SELECT uuidv7(), now(), 'x', 'done', now() - interval '8 days'
    FROM generate_series(1, $1::int)
    """,
    login="system",
)
COUNT_TASKS = query(int, "SELECT count(*)::int FROM consumer_tasks", login="system")


def make_broker(url: str, prefix: str, *, reclaim_seconds: float = 600.0) -> StreamBroker:
    return StreamBroker(
        url,
        queue_name=f"{prefix}:tasks",
        deadline_seconds=1.0,
        reclaim_seconds=reclaim_seconds,
    )


@pytest_asyncio.fixture
async def broker(redis_url: str, redis_prefix: str) -> AsyncIterator[StreamBroker]:
    broker = make_broker(redis_url, redis_prefix)
    yield broker
    await broker.shutdown()


async def kick(broker: StreamBroker, *names: str) -> None:
    for name in names:
        await broker.kick(
            BrokerMessage(task_id=name, task_name=name, message=name.encode(), labels={})
        )


async def receive(broker: StreamBroker, count: int) -> list[AckableMessage]:
    """Return the next messages, as a worker would take them."""
    taken: list[AckableMessage] = []
    async with asyncio.timeout(SECONDS), aclosing(broker.listen()) as messages:
        async for message in messages:
            taken.append(message)
            if len(taken) == count:
                break
    return taken


async def test_a_call_made_before_any_worker_started_is_received(broker: StreamBroker) -> None:
    await kick(broker, "one", "two")
    assert [message.data for message in await receive(broker, 2)] == [b"one", b"two"]


async def test_acknowledged_calls_are_deleted(broker: StreamBroker) -> None:
    await kick(broker, "one", "two")
    first, _second = await receive(broker, 2)
    await acknowledge(first)
    async with Redis(connection_pool=broker.connection_pool) as redis:
        assert await redis.xlen(broker.queue_name) == 1
        pending: Any = await redis.xpending(broker.queue_name, broker.consumer_group_name)
        assert pending["pending"] == 1


async def test_a_dead_workers_calls_are_taken_over_although_the_queue_is_idle(
    redis_url: str, redis_prefix: str
) -> None:
    dead = make_broker(redis_url, redis_prefix)
    await kick(dead, "one", "two")
    await receive(dead, 2)  # and dies without acknowledging
    await dead.shutdown()
    heir = make_broker(redis_url, redis_prefix, reclaim_seconds=0.2)
    assert {message.data for message in await receive(heir, 2)} == {b"one", b"two"}
    await heir.shutdown()


async def test_a_redis_that_comes_back_empty_is_used_again(
    broker: StreamBroker, redis_url: str, redis_prefix: str
) -> None:
    async with asyncio.timeout(SECONDS), aclosing(broker.listen()) as messages:
        await kick(broker, "before")
        assert (await anext(messages)).data == b"before"
        async with Redis.from_url(redis_url) as redis:
            await redis.delete(broker.queue_name)
        await kick(broker, "after")
        assert (await anext(messages)).data == b"after"


async def test_listening_outlives_redis(start_redis: Any) -> None:
    redis: RestartableRedis = start_redis()
    broker = make_broker(redis.url, "test")
    async with asyncio.timeout(SECONDS), aclosing(broker.listen()) as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await kick_until_taken(broker, "one")
        assert (await waiting).data == b"one"
        redis.kill()
        with pytest.raises((RedisError, OSError, TimeoutError)):
            await kick(broker, "lost")
        redis.restart()
        waiting = asyncio.ensure_future(anext(messages))
        await kick_until_taken(broker, "two")
        assert (await waiting).data in (b"one", b"two")
    await broker.shutdown()


async def test_many_tasks_travel_in_few_messages_that_taskiq_reads(
    redis_url: str, redis_prefix: str
) -> None:
    settings = settings_for(redis_url, redis_prefix)
    broker, calls = queue.create_broker(settings), TaskCalls(settings.redis)
    ids = [uuid4() for _ in range(40)]
    tasks = [TaskKey(event_id, "profiles.mark_active") for event_id in ids]
    await calls.kick(tasks)
    received = [broker.formatter.loads(message.data) for message in await receive(broker, 3)]
    assert {call.task_name for call in received} == {"profiles.mark_active"}
    assert [event_id for call in received for event_id in call.args[0]] == [str(i) for i in ids]
    assert len({call.task_id for call in received}) == 3
    await calls.close()
    await broker.shutdown()


async def test_every_consumer_and_periodic_task_is_registered(
    redis_url: str, redis_prefix: str
) -> None:
    broker = queue.create_broker(settings_for(redis_url, redis_prefix))

    def cipher() -> FieldCipher:
        return FieldCipher(KeyRing.parse(FIELD_KEYS))

    names = {item.name for item in (*CONSUMERS, *PERIODIC_TASKS)}
    consumers = sealing_consumers(cipher, lambda: bytes(32))
    names |= {item.name for item in (*consumers, *sealing_tasks(cipher))}
    assert names <= broker.local_task_registry.keys()
    await broker.shutdown()


async def test_an_event_that_always_times_out_does_not_starve_those_in_its_message(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, *others = [uuid4() for _ in range(4)]
    consumed: list[UUID] = []

    async def consume(_pool: object, _consumer: object, event_id: UUID, _out: object) -> bool:
        if event_id == poison:
            raise DomainError("service.unavailable")
        consumed.append(event_id)
        return True

    monkeypatch.setattr(events, "consume", consume)
    broker = queue.create_broker(
        Settings(redis=config.Redis(url=redis_url, key_prefix=redis_prefix))
    )
    broker.state.pool = None
    call = broker.find_task(CONSUMERS[0].name)
    assert call is not None
    with pytest.raises(DomainError):
        await call.original_func([poison, *others])
    assert consumed == others
    await broker.shutdown()


async def test_periodic_work_goes_on_until_nothing_is_left(
    redis_url: str, redis_prefix: str, system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_PURGE_MAX_ROWS", 10)
    async with begin(system_pool, SYSTEM) as tx:
        await ADD_DONE_TASKS.run(tx, 35)
    broker = queue.create_broker(
        Settings(redis=config.Redis(url=redis_url, key_prefix=redis_prefix))
    )
    broker.state.pool = system_pool
    call = broker.find_task("housekeeping.purge_consumer_tasks")
    assert call is not None
    await call.original_func()
    async with begin(system_pool, SYSTEM) as tx:
        assert await COUNT_TASKS.one(tx) == 0
    await broker.shutdown()


async def test_what_a_periodic_task_does_outside_follows_its_commit(
    system_pool: Pool, redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    settings = replace(
        settings_for(redis_url, redis_prefix), pki=replace(PKI, crl_path=str(tmp_path / "crl.pem"))
    )
    broker = queue.create_broker(settings)
    broker.state.pool = system_pool
    call = broker.find_task("certificates.refresh")
    assert call is not None
    await call.original_func()
    assert names_in(tmp_path) == {"crl.pem", "crl.pem.lock"}
    await broker.shutdown()


async def test_the_scheduler_repeats_every_periodic_task(redis_url: str, redis_prefix: str) -> None:
    scheduler = queue.create_scheduler(settings_for(redis_url, redis_prefix))
    [source] = scheduler.sources
    await source.startup()
    schedules = {item.task_name: item.interval for item in await source.get_schedules()}
    tasks = (*PERIODIC_TASKS, *sealing_tasks(lambda: FieldCipher(KeyRing.parse(FIELD_KEYS))))
    assert schedules == {task.name: task.every_seconds for task in tasks}
    await scheduler.broker.shutdown()


def test_without_redis_in_the_settings_the_broker_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        queue.create_broker(Settings())


def settings_for(redis_url: str, prefix: str) -> Settings:
    return Settings(redis=config.Redis(url=redis_url, key_prefix=prefix))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def acknowledge(message: AckableMessage) -> None:
    """Acknowledge as the receiver does."""
    answer = message.ack()
    if answer is not None:
        await answer


async def kick_until_taken(broker: StreamBroker, name: str) -> None:
    """Kick as the sweeper does: again, until Redis takes it."""
    while True:
        try:
            return await kick(broker, name)
        except (RedisError, OSError, TimeoutError):
            await asyncio.sleep(0.05)
