"""Reminders are told of exactly once by real workers, of which one is killed in the middle."""

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.hub_process import HubProcess
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import create_world
from tests.hub.processes.test_worker import until

COUNT = 1200  # more than two batches
# Tells, says so and hangs before it commits.
_HANGING_WORKER = """
import asyncio
from core import config, log
from hub.domains.reminders import service
from hub.processes import worker

tell = service.fire_due

async def hang(*args):
    await tell(*args)
    log.get("test").info("task_hangs")
    await asyncio.Event().wait()

service.fire_due = hang
worker.run(config.load())
"""


# Its short twin: test_a_worker_that_dies_while_it_tells_… of test_routes.
@pytest.mark.soak
@pytest.mark.req("REL-08")
async def test_what_came_due_in_an_outage_is_told_of_once_though_a_worker_is_killed(
    admin: Any, process_settings: dict[str, str], tmp_path: Path
) -> None:
    world = await create_world(admin)
    await admin.execute(
        """INSERT INTO reminders (user_id, title, timezone, first_local, due_at)
        SELECT $1, 'Call', 'UTC', '2026-11-21T09:00:00', now() - n * interval '1 minute'
        FROM generate_series(1, $2) AS n""",
        world.user_id,
        COUNT,
    )
    told = "SELECT count(*) FROM events WHERE type = 'reminder.due'"
    with (
        HubProcess(
            "worker", process_settings, tmp_path / "dead.log", script=_HANGING_WORKER
        ) as dead,
        HubProcess("scheduler", process_settings, tmp_path / "scheduler.log"),
    ):
        wait_until(lambda: "task_hangs" in dead.log.read_text(), "the task to hang", 40)
        dead.kill()
    assert await admin.fetchval(told) == 0
    with (
        HubProcess("worker", process_settings, tmp_path / "one.log") as one,
        HubProcess("worker", process_settings, tmp_path / "other.log") as other,
    ):
        one.ready()
        other.ready()
        with HubProcess("scheduler", process_settings, tmp_path / "again.log"):
            await until(admin, f"SELECT ({told}) >= {COUNT}", 60)
        assert (one.stop(), other.stop()) == (0, 0)
    assert await admin.fetchval(told) == COUNT
    assert (
        await admin.fetchval(
            "SELECT count(DISTINCT subject_id) FROM events WHERE type = 'reminder.due'"
        )
        == COUNT
    )
