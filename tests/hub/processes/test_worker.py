"""Consumer tasks finish, whatever becomes of workers and of Redis."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.postgres import Database
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, World, create_world
from tests.hub.processes.relaying import CONSUMERS_OF_A_TAP

# Takes over quickly, so that the test need not wait as long as production does.
_QUICK = {"PINGHUB_RELAY__STALE_TASK_SECONDS": "1", "PINGHUB_RELAY__SWEEP_SECONDS": "0.2"}
_QUICK_RECLAIM = """
from core import config
from hub import queue
from hub.processes import worker

queue.RECLAIM_AFTER_SECONDS = 0.5
worker.run(config.load())
"""
# Claims its task, says so and hangs inside the transaction, as if a network were slow.
_HANGING_WORKER = """
import asyncio
from core import config, log
from hub.domains.profiles import service
from hub.processes import worker

async def hang(*args):
    log.get("test").info("task_hangs")
    await asyncio.Event().wait()

service.mark_active = hang
worker.run(config.load())
"""


async def test_a_tap_marks_its_owner_active(
    admin: Any, process_settings: dict[str, str], tmp_path: Path
) -> None:
    world = await create_world(admin)
    with (
        HubProcess("relay", process_settings, tmp_path / "relay.log") as relay,
        HubProcess("worker", process_settings, tmp_path / "worker.log") as worker,
    ):
        relay.ready()
        worker.ready()
        await tap(admin, world, 1)
        await all_done(admin, 1)
        assert await admin.fetchval("SELECT last_active_at IS NOT NULL FROM profiles")
        assert worker.stop() == 0
        assert relay.stop() == 0


async def test_the_tasks_of_a_killed_worker_are_taken_over_on_an_idle_queue(
    admin: Any, process_settings: dict[str, str], tmp_path: Path
) -> None:
    world = await create_world(admin)
    await tap(admin, world, 1)
    # A relay that only kicks once: what follows is the queue's own doing.
    with HubProcess("relay", process_settings, tmp_path / "relay.log") as relay:
        relay.ready()
        with HubProcess(
            "worker", process_settings, tmp_path / "dead.log", script=_HANGING_WORKER
        ) as dead:
            wait_until(lambda: "task_hangs" in dead.log.read_text(), "the task to hang", 20)
            dead.kill()
        relay.kill()
    with HubProcess("worker", process_settings, tmp_path / "heir.log", script=_QUICK_RECLAIM):
        await all_done(admin, 1)


async def test_tasks_finish_although_redis_came_back_empty(
    admin: Any, database: Database, start_redis: Callable[[], RestartableRedis], tmp_path: Path
) -> None:
    redis = start_redis()
    settings = {
        **environment(tmp_path, database, redis_url=redis.url, prefix="test"),
        **_QUICK,
    }
    world = await create_world(admin)
    with HubProcess("relay", settings, tmp_path / "relay.log") as relay:
        relay.ready()
        for seq in range(1, 31):
            await tap(admin, world, seq)
        await relayed(admin)
        with Redis.from_url(redis.url) as client:
            client.flushall()
        with HubProcess("worker", settings, tmp_path / "worker.log") as worker:
            worker.ready()
            await all_done(admin, 30)
            redis.kill()
            await tap(admin, world, 31)
            redis.restart()
            await all_done(admin, 31)
            assert worker.stop() == 0


async def test_periodic_tasks_run_when_the_scheduler_starts(
    admin: Any, process_settings: dict[str, str], tmp_path: Path
) -> None:
    await admin.execute(
        """
        INSERT INTO rejected_taps (reason, received_at)
        VALUES ('bad_tag', now() - interval '91 days'), ('bad_tag', now() - interval '89 days')
        """
    )
    with (
        HubProcess("worker", process_settings, tmp_path / "worker.log") as worker,
        HubProcess("scheduler", process_settings, tmp_path / "scheduler.log") as scheduler,
    ):
        worker.ready()
        scheduler.ready()
        await until(admin, "SELECT count(*) = 1 FROM rejected_taps")
        assert scheduler.stop() == 0
        assert worker.stop() == 0


async def tap(admin: Any, world: World, seq: int) -> None:
    """Record a tap, whose event has consumers in two slices."""
    await admin.execute(
        """
        INSERT INTO ring_taps (user_id, ring_id, kind, source, boot, seq, verified)
        VALUES ($1, $2, 'button', 'ble', 1, $3, true)
        """,
        world.user_id,
        world.ring_id,
        seq,
    )


async def relayed(admin: Any) -> None:
    """Wait until the outbox is empty."""
    await until(admin, "SELECT count(*) = 0 FROM outbox")


async def all_done(admin: Any, taps: int) -> None:
    """Wait until the tasks of so many taps are done and none is open."""
    await until(
        admin,
        f"""
        SELECT count(*) = {taps * len(CONSUMERS_OF_A_TAP)} AND bool_and(status = 'done')
        FROM consumer_tasks
        """,
    )


async def until(admin: Any, query: str, seconds: float = 20.0) -> None:
    """Wait until a query answers true."""
    deadline = time.monotonic() + seconds
    while not await admin.fetchval(query):
        assert time.monotonic() < deadline, query
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["worker", "scheduler"])
async def test_a_process_starts_while_everything_is_down_and_stops_at_once(
    tmp_path: Path, name: str
) -> None:
    nowhere = {
        "PINGHUB_HOME": str(tmp_path),
        "DATABASE_SYSTEM_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1",
        "PINGHUB_KEYS__FIELD_KEYS": FIELD_KEYS,
        "PINGHUB_KEYS__INDEX_KEY": INDEX_KEY.hex(),
    }
    with HubProcess(name, nowhere, tmp_path / "process.log") as process:
        process.ready()
        assert process.stop(5) == 0


@pytest.mark.req("PRD-12")
@pytest.mark.parametrize(
    "command", [["worker", "hub.queue:create_broker"], ["scheduler", "hub.queue:create_scheduler"]]
)
async def test_taskiqs_own_command_line_works_as_it_is(
    admin: Any,
    process_settings: dict[str, str],
    tmp_path: Path,
    command: list[str],
) -> None:
    script = f"from taskiq.__main__ import main; import sys; sys.argv[1:] = {command}; main()"
    other = "scheduler" if command[0] == "worker" else "worker"
    await admin.execute(
        "INSERT INTO rejected_taps (reason, received_at) VALUES ('bad_tag', now() - interval '1 y')"
    )
    with (
        HubProcess("taskiq", process_settings, tmp_path / "taskiq.log", script=script) as taskiq,
        HubProcess(other, process_settings, tmp_path / "other.log") as process,
    ):
        process.ready()
        await until(admin, "SELECT count(*) = 0 FROM rejected_taps")
        taskiq.stop()
