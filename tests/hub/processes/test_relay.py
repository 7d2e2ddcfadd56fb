"""Every committed event leaves the outbox once, whatever dies on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from core import config
from core.db import Pool
from hub.domains.events.schemas import TaskKey
from hub.processes import relay
from hub.realtime.broker import Broker, BrokerUnavailableError, PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster import orders as control_orders
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.postgres import Database
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import World, connect, create_user, create_world

SETTINGS = config.Relay()


class Kicks:
    """Remembers what was kicked."""

    def __init__(self) -> None:
        self.tasks: list[TaskKey] = []

    async def __call__(self, tasks: Sequence[TaskKey]) -> None:
        self.tasks += tasks


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker()
    await broker.start()
    yield broker
    await broker.close()


async def emit(connection: Any, world: World, **more: Any) -> UUID:
    """Write an event as a trigger would: ring.renamed of the world's ring."""
    payload = {"ring_id": world.ring_id, "label": "x", "kind": "ble", "status": "active"} | more
    return await connection.fetchval(
        "SELECT app.emit('ring.renamed', $1, 'ring', $2, $3::text::jsonb)",
        world.user_id,
        more.get("subject_id", world.ring_id),
        msgspec.json.encode(payload).decode(),
    )


async def published(broker: Broker, channel: str) -> list[dict[str, Any]]:
    history = await broker.history(channel)
    return [msgspec.json.decode(item.payload)["data"] for item in history.publications]


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
    [task] = await admin.fetch("SELECT event_id, consumer, status FROM consumer_tasks")
    assert (task["consumer"], task["status"]) == ("profiles.mark_active", "pending")
    assert kicks.tasks == [TaskKey(task["event_id"], "profiles.mark_active")]


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
    assert await relay.sweep(system_pool, kicks, SETTINGS) == 1
    assert await relay.sweep(system_pool, kicks, SETTINGS) == 0
    assert [task.consumer for task in kicks.tasks] == ["profiles.mark_active"]


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
    assert await relay.sweep(system_pool, kicks, SETTINGS) == 1
    assert await admin.fetchval("SELECT status FROM consumer_tasks") == "pending"


async def tap(connection: Any, world: World, *, seq: int) -> None:
    """Record a tap, whose trigger emits ring.tapped."""
    await connection.execute(
        """
        INSERT INTO ring_taps (user_id, ring_id, gateway_id, kind, source, boot, seq, verified)
        VALUES ($1, $2, $3, 'button', 'ble', 1, $4, true)
        """,
        world.user_id,
        world.ring_id,
        world.gateway_id,
        seq,
    )


async def open_conversation(connection: Any, *users: UUID) -> UUID:
    """Open a direct conversation as its first member."""
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.user_id', $1, true)", str(users[0]))
        return await connection.fetchval(
            "SELECT id FROM app.open_direct_conversation($1)", users[1]
        )


async def send(connection: Any, conversation: UUID, sender: UUID, body: str) -> None:
    """Send a message as a member."""
    await connection.execute(
        "INSERT INTO messages (conversation_id, sender_id, body) VALUES ($1, $2, $3)",
        conversation,
        sender,
        body,
    )


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
    relay.queue.kick_tasks = kick
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
    assert await admin.fetchval("SELECT count(*) FROM consumer_tasks") == 5


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
