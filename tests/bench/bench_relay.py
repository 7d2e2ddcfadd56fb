"""How many events a second leave the outbox, beside the floor: the same statements, no Redis."""

import asyncio
import time
from typing import Any

import pytest

from core import config
from core.db import Pool
from hub.processes import relay
from hub.realtime.redis.broker import RedisBroker
from hub.wiring.calls import TaskCalls
from tests.fixtures.postgres import Database
from tests.fixtures.world import World, connect, create_world

EVENTS = 20_000
USERS = 50
TARGET_PER_SECOND = 5_000


@pytest.mark.bench
async def test_relay_carries_thousands_of_events_a_second(
    database: Database, redis_url: str, redis_prefix: str
) -> None:
    admin = await connect(database)
    worlds = [await create_world(admin, f"user {number}") for number in range(USERS)]
    redis = config.Redis(url=redis_url, key_prefix=redis_prefix)
    broker, calls = RedisBroker(redis), TaskCalls(redis)
    pool = await Pool.open(database.system_url)
    await broker.start()

    async def nowhere(_things: Any) -> None:
        return

    figures = {
        "relay to Redis and workers": await _measure(
            admin, worlds, pool, broker.publish_many, calls.kick
        ),
        "floor: PostgreSQL alone": await _measure(admin, worlds, pool, nowhere, nowhere),
    }
    print()
    for name, per_second in figures.items():
        print(f"{name:32} {per_second:10,.0f} events/s")
    await broker.close()
    await calls.close()
    await pool.close()
    await admin.close()
    assert figures["relay to Redis and workers"] >= TARGET_PER_SECOND


async def _measure(admin: Any, worlds: list[World], pool: Pool, publish: Any, kick: Any) -> float:
    await admin.executemany(
        """
        INSERT INTO ring_taps (user_id, ring_id, kind, source, boot, seq, verified)
        SELECT $1, $2, 'button', 'ble', $3, seq, true
        FROM generate_series(1, $4) AS seq
        """,
        [
            (world.user_id, world.ring_id, time.monotonic_ns() >> 20, EVENTS // USERS)
            for world in worlds
        ],
    )
    await admin.execute("ANALYZE")
    started = time.perf_counter()
    carried = 0

    async def lane() -> None:
        nonlocal carried
        while carried < EVENTS:
            batch = await relay.relay_batch(pool, publish, kick, config.Relay(), lanes=2)
            carried += batch
            if not batch:
                await asyncio.sleep(0.001)

    await asyncio.gather(lane(), lane())
    return EVENTS / (time.perf_counter() - started)
