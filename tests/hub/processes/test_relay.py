"""Every committed event leaves the outbox once, in order, with its tasks."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from core import config
from core.db import Pool
from hub.domains.events.schemas import TaskKey
from hub.processes import relay
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster import orders as control_orders
from tests.fixtures.postgres import Database
from tests.fixtures.world import connect, create_user, create_world
from tests.hub.processes.relaying import (
    CONSUMERS_OF_A_TAP,
    SETTINGS,
    Kicks,
    broker,
    emit,
    open_conversation,
    published,
    send,
    tap,
)

__all__ = ["broker"]


async def test_an_event_is_published_and_leaves_the_outbox(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    event_id = await emit(admin, world, label="blue")
    carried = await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    assert carried == 1
    [publication] = await published(broker, f"taps:{world.user_id}")
    assert publication["id"] == str(event_id)
    assert publication["type"] == "ring.renamed"
    assert publication["data"] == {
        "ring_id": str(world.ring_id),
        "label": "blue",
        "kind": "ble",
        "status": "active",
    }
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_consumer_task_is_written_and_kicked_for_each_consumer(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    kicks = Kicks()
    await tap(admin, world, seq=1)
    await relay.relay_batch(system_pool, broker.publish_many, kicks, SETTINGS)
    [event_id] = await admin.fetchrow("SELECT id FROM events WHERE type = 'ring.tapped'")
    tasks = await admin.fetch(
        "SELECT event_id, consumer, status FROM consumer_tasks ORDER BY consumer"
    )
    assert [tuple(task) for task in tasks] == [
        (event_id, consumer, "pending") for consumer in CONSUMERS_OF_A_TAP
    ]
    assert set(kicks.tasks) == {TaskKey(event_id, each) for each in CONSUMERS_OF_A_TAP}
    assert len(kicks.tasks) == len(CONSUMERS_OF_A_TAP)


async def test_a_stop_is_heeded_though_a_kick_has_swallowed_it() -> None:
    """As redis-py does in Python 3.11, when it is cancelled in the moment in which it has sent."""

    async def swallow(_tasks: Sequence[TaskKey]) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    kicking = asyncio.create_task(relay._kick(swallow, [TaskKey(uuid4(), "profiles.mark_active")]))
    await asyncio.sleep(0)
    kicking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kicking


async def test_a_message_reaches_every_member_and_the_conversation(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    ada, grace = await create_user(admin, "Ada"), await create_user(admin, "Grace")
    conversation = await open_conversation(admin, ada, grace)
    await send(admin, conversation, ada, "hello")
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    for channel in (f"messages:{ada}", f"messages:{grace}"):
        types = [item["type"] for item in await published(broker, channel)]
        assert types == ["conversation.opened", "message.sent"]
    [publication] = await published(broker, f"conversation:{conversation}")
    assert publication["data"]["body"] == "hello"


async def test_the_end_of_a_session_is_an_order_to_every_process(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    user, family = await create_user(admin, "Ada"), uuid4()
    await admin.execute(
        """INSERT INTO sessions (user_id, family_id, token_hash, expires_at)
        VALUES ($1, $2, '\\x00', now() + interval '1 day')""",
        user,
        family,
    )
    await admin.execute("UPDATE sessions SET revoked_at = now()")
    assert await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS) == 1
    [order] = await published(broker, control_orders.CHANNEL)
    assert order["body"] == {"type": "revoke", "sign_in_session": str(family)}


async def test_a_notification_wakes_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []

    async def relay_batch(*_args: Any, **_more: Any) -> int:
        looks.append(None)
        return 0

    monkeypatch.setattr(relay, "relay_batch", relay_batch)
    wakes: relay.Wakes = asyncio.Queue(2)
    settings = config.Relay(poll_seconds=600)
    nothing: Any = None
    lanes = [
        asyncio.create_task(relay._lane(nothing, nothing, nothing, settings, wakes))
        for _ in range(2)
    ]
    for woken in range(4):
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(looks) == 2 + woken
        relay.wake_one(wakes)
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)


async def test_an_event_erased_before_it_was_relayed_is_told_to_nobody(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)
    await admin.execute("DELETE FROM events")
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    assert await published(broker, f"taps:{world.user_id}") == []
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 0


async def test_the_event_of_a_slow_transaction_is_not_skipped(
    admin: Any, database: Database, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    slow = await connect(database)
    transaction = slow.transaction()
    await transaction.start()
    await emit(slow, world, label="slow")  # takes the lower number, commits later
    await emit(admin, world, label="quick")
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    await transaction.commit()
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    labels = [item["data"]["label"] for item in await published(broker, f"taps:{world.user_id}")]
    assert labels == ["quick", "slow"]
    await slow.close()


async def test_several_relays_keep_the_order_of_each_subject(
    admin: Any, database: Database, broker: MemoryBroker
) -> None:
    worlds = [await create_world(admin, f"user {number}") for number in range(6)]
    for number in range(40):
        for world in worlds:
            await emit(admin, world, label=str(number))
    settings = config.Relay(shards=4, batch_max_events=7)
    pools = [await Pool.open(database.system_url) for _ in range(3)]

    total = 40 * len(worlds)

    async def work(pool: Pool) -> None:
        nonlocal total
        while total:
            carried = await relay.relay_batch(pool, broker.publish_many, Kicks(), settings, lanes=2)
            total -= carried

    await asyncio.gather(*(work(pool) for pool in pools))
    for world in worlds:
        found = [item["data"]["label"] for item in await published(broker, f"taps:{world.user_id}")]
        assert found == [str(number) for number in range(40)]
    for pool in pools:
        await pool.close()


async def test_a_shard_locked_by_another_relay_is_left_alone(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)
    started, finish = asyncio.Event(), asyncio.Event()

    async def slowly(requests: list[PublishRequest]) -> None:
        started.set()
        await finish.wait()
        await broker.publish_many(requests)

    first = asyncio.create_task(relay.relay_batch(system_pool, slowly, Kicks(), SETTINGS))
    await started.wait()
    assert await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS) == 0
    finish.set()
    assert await first == 1


async def test_a_lost_kick_is_repeated_by_the_sweeper_and_not_at_once_again(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)

    async def kick(_tasks: Sequence[TaskKey]) -> None:
        raise OSError("Redis is away")

    await relay.relay_batch(system_pool, broker.publish_many, kick, SETTINGS)
    kicks = Kicks()
    assert await relay.sweep(system_pool, kicks, SETTINGS) == 0  # its time has not come
    await admin.execute("UPDATE consumer_tasks SET available_at = now()")
    assert await relay.sweep(system_pool, kicks, SETTINGS) == len(CONSUMERS_OF_A_TAP)
    assert await relay.sweep(system_pool, kicks, SETTINGS) == 0
    assert sorted(task.consumer for task in kicks.tasks) == list(CONSUMERS_OF_A_TAP)


async def test_a_task_whose_worker_vanished_is_swept(
    admin: Any, system_pool: Pool, broker: MemoryBroker
) -> None:
    world = await create_world(admin)
    await tap(admin, world, seq=1)
    await relay.relay_batch(system_pool, broker.publish_many, Kicks(), SETTINGS)
    await admin.execute("ALTER TABLE consumer_tasks DISABLE TRIGGER touch")
    await admin.execute(
        "UPDATE consumer_tasks SET status = 'running', updated_at = now() - interval '1 hour'"
    )
    kicks = Kicks()
    assert await relay.sweep(system_pool, kicks, SETTINGS) == len(CONSUMERS_OF_A_TAP)
    assert await admin.fetchval("SELECT bool_and(status = 'pending') FROM consumer_tasks")
