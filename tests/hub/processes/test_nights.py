"""`pinghub doctor` finds a daily pass over relationships that does not end."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core import clock
from core.actor import SYSTEM
from core.config import Database as DatabaseSettings
from core.config import Settings
from core.db import Pool, begin
from hub.domains.relationships import service
from hub.processes import checks
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user

NOW = datetime(2026, 11, 21, 5, 59, tzinfo=UTC)
FRIDAY = NOW - timedelta(days=1)


def found(database: Database) -> Awaitable[checks.Finding]:
    settings = Settings(database=DatabaseSettings(system_url=database.system_url))
    return asyncio.to_thread(checks.nights, settings)


@pytest.mark.req("REL-09")
async def test_a_night_that_does_not_end_is_found(
    admin: Any, database: Database, system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [NOW]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    user = await create_user(admin, "Ada")
    contact = await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name) VALUES ($1, 'Grace') RETURNING id", user
    )
    await admin.execute(
        """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
        VALUES ($1, $2, 'call', $3)""",
        user,
        contact,
        FRIDAY - timedelta(days=9),
    )
    async with begin(system_pool, SYSTEM) as tx:
        await service.refresh(tx, user, contact)
    assert (await found(database)).state == "ok", "set up since the last night"
    now[0] += timedelta(days=1)
    assert (await found(database)).state == "ok", "the night of Saturday is not yet late"
    now[0] += timedelta(minutes=1)
    late = await found(database)
    shard = await admin.fetchval("SELECT shard FROM relationship_health")
    assert late.state == "failed"
    assert f"shards {shard} of" in late.detail
    assert "never calculated" in late.detail
    for ran, state in (("2026-11-22", "ok"), ("2026-11-21", "failed")):
        await admin.execute("UPDATE health_shards SET calculated_on = $1", date.fromisoformat(ran))
        assert (await found(database)).state == state
    assert "calculated on 2026-11-21" in (await found(database)).detail


async def test_before_there_is_a_database_no_night_is_late(admin: Any, database: Database) -> None:
    assert checks.nights(Settings()).state == "idle"
    await admin.execute("DROP TABLE health_shards")
    assert (await found(database)).state == "idle"
    refused = Settings(database=DatabaseSettings(system_url=f"{database.system_url}_gone"))
    assert (await asyncio.to_thread(checks.nights, refused)).state == "failed"
