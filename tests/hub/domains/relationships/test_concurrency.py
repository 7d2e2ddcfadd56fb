"""Health that several compute at once, or one who dies: nothing is lost, nothing doubled."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import Pool, begin, command, query
from core.errors import DomainError
from hub.domains.relationships import queries, rules, service
from tests.fixtures.locks import SECONDS, Late, until_somebody_waits
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user
from tests.hub.domains.relationships.faded import NOW, Met
from tests.hub.domains.relationships.test_service import (
    CHANGED,
    ada,
    add_contact,
    health,
    meet,
    pass_of_the_night,
    refresh,
    time,
)

__all__ = ["ada", "time"]  # fixtures

# As a merge does.
lock_pair = query(
    UUID,
    "SELECT id FROM contacts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE",
    login="system",
)
move_nudges = command(
    "UPDATE nudges SET contact_id = contact_id WHERE contact_id = $1", login="system"
)


async def known(admin: Any, pool: Pool, user: UUID) -> UUID:
    """Add a contact who was met a while ago, and compute how that fares."""
    contact = await add_contact(admin, user)
    await meet(admin, user, contact, Met(100))
    await refresh(pool, user, contact)
    return contact


async def recalculate(pool: Pool) -> None:
    async with begin(pool, SYSTEM) as tx:
        assert await service.recalculate(tx)


@pytest.mark.req("REL-09", "JOB-01")
async def test_two_workers_share_a_night_without_waiting_or_doubling(
    admin: Any, system_pool: Pool, time: list[datetime]
) -> None:
    contacts: list[UUID] = []
    for n in range(12):
        user = await create_user(admin, f"User {n}")
        contacts.append(await known(admin, system_pool, user))
    time[0] += timedelta(days=100)
    told = await admin.fetchval(CHANGED)
    async with begin(system_pool, SYSTEM) as tx:
        assert await service.recalculate(tx)
        # The other one has no need to wait for this shard.
        async with asyncio.timeout(SECONDS):
            batches = await asyncio.gather(*(pass_of_the_night(system_pool) for _ in range(2)))
    assert sum(batches) == 15
    for contact in contacts:
        assert (await health(admin, contact))["computed_at"] == time[0]
    assert await admin.fetchval(CHANGED) == told + 12, "each fell by more than is left untold"
    assert await admin.fetchval("SELECT count(*) FROM health_snapshots") == 24
    assert await pass_of_the_night(system_pool) == 0


async def test_contact_during_the_night_is_counted_after_it(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await known(admin, system_pool, ada)
    await admin.execute("UPDATE health_shards SET calculated_on = $1", NOW.date())
    await admin.execute(
        """UPDATE health_shards SET calculated_on = '-infinity'
        WHERE shard = (SELECT shard FROM relationship_health)"""
    )
    async with begin(system_pool, SYSTEM) as tx:
        assert await service.recalculate(tx)
        time[0] += timedelta(hours=1)
        await meet(admin, ada, contact, Met(-1 / 24))
        refreshing = asyncio.create_task(refresh(system_pool, ada, contact))
        await until_somebody_waits(admin)
    await asyncio.wait_for(refreshing, SECONDS)
    row = await health(admin, contact)
    assert (row["last_touch_at"], row["computed_at"]) == (time[0], time[0])


async def test_a_night_that_had_to_wait_counts_what_it_waited_for(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await known(admin, system_pool, ada)
    await admin.execute("UPDATE health_shards SET calculated_on = $1", NOW.date())
    await admin.execute(
        """UPDATE health_shards SET calculated_on = '-infinity'
        WHERE shard = (SELECT shard FROM relationship_health)"""
    )
    later = NOW + timedelta(hours=1)
    async with begin(system_pool, SYSTEM) as tx:
        time[0] = later
        await meet(admin, ada, contact, Met(-1 / 24))
        await service.refresh(tx, ada, contact)
        time[0] = NOW
        night = asyncio.create_task(recalculate(system_pool))
        await until_somebody_waits(admin)
        time[0] = later
    await asyncio.wait_for(night, SECONDS)
    assert (await health(admin, contact))["last_touch_at"] == later
    assert await admin.fetchval(CHANGED) == 2, "the first, and the contact: the night adds none"


@pytest.mark.usefixtures("time")
async def test_contact_from_many_sides_at_once_is_counted_whole(
    admin: Any, ada: UUID, database: Database, system_pool: Pool
) -> None:
    contact = await add_contact(admin, ada)

    async def note(days_ago: int) -> None:
        connection = await asyncpg.connect(database.system_url)
        await meet(connection, ada, contact, Met(days_ago))
        await connection.close()
        await refresh(system_pool, ada, contact)

    # None of them finds a row of health that it could wait for.
    await asyncio.gather(*(note(days_ago) for days_ago in range(1, 9)))
    row = await health(admin, contact)
    assert json.loads(row["components"])["contact_days"] == 8
    assert row["last_touch_at"] == NOW - timedelta(days=1)


@pytest.mark.usefixtures("time")
async def test_who_has_read_too_early_does_not_write_over_who_has_read_more(
    admin: Any, ada: UUID, system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = await known(admin, system_pool, ada)
    write, has_read, may_write = service._write, asyncio.Event(), asyncio.Event()

    async def write_late(*args: Any) -> None:
        if not has_read.is_set():
            has_read.set()
            await may_write.wait()
        await write(*args)

    monkeypatch.setattr(service, "_write", write_late)
    early = asyncio.create_task(refresh(system_pool, ada, contact))
    await asyncio.wait_for(has_read.wait(), SECONDS)
    await meet(admin, ada, contact, Met(1))
    late = asyncio.create_task(refresh(system_pool, ada, contact))
    waits = asyncio.create_task(until_somebody_waits(admin))
    await asyncio.wait({late, waits}, return_when=asyncio.FIRST_COMPLETED)
    may_write.set()
    await asyncio.wait_for(asyncio.gather(early, late, waits), SECONDS)
    assert json.loads((await health(admin, contact))["components"])["contact_days"] == 2


@pytest.mark.req("REL-09")
async def test_a_night_waits_for_a_merge_as_that_does_for_the_night(
    admin: Any,
    ada: UUID,
    system_pool: Pool,
    time: list[datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = [await known(admin, system_pool, ada) for _ in range(2)]
    await admin.execute("UPDATE contacts SET strength = 0.9 WHERE id = $1", pair[1])
    time[0] += timedelta(days=10)
    late = Late(queries.write_snapshots, admin)
    monkeypatch.setattr(queries, "write_snapshots", late)
    night = asyncio.create_task(pass_of_the_night(system_pool))
    await late.reached()
    async with begin(system_pool, SYSTEM) as tx:
        # The first of the two changed its score alone.
        await lock_pair.all(tx, pair)
    assert await asyncio.wait_for(night, SECONDS) == 16
    assert await admin.fetchval("SELECT count(*) FROM health_snapshots") == 4


async def test_contact_settles_reminders_after_a_merge_that_moves_them(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await known(admin, system_pool, ada)
    await admin.execute(
        """INSERT INTO nudges (user_id, contact_id, kind, occasion)
        VALUES ($1, $2, 'follow_up', '1')""",
        ada,
        contact,
    )
    await meet(admin, ada, contact, Met(0))
    async with begin(system_pool, SYSTEM) as tx:
        await lock_pair.all(tx, [contact])
        refreshing = asyncio.create_task(refresh(system_pool, ada, contact))
        await until_somebody_waits(admin)
        assert await move_nudges.run(tx, contact) == 1
    await asyncio.wait_for(refreshing, SECONDS)
    assert await admin.fetchval("SELECT status FROM nudges") == "done"


@pytest.mark.req("REL-09")
async def test_a_shard_that_fails_is_in_nobody_elses_way(
    admin: Any,
    ada: UUID,
    system_pool: Pool,
    time: list[datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contact = await known(admin, system_pool, ada)
    time[0] += timedelta(days=1)

    def fail(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(rules, "assess", fail)
    behind = "SELECT count(*) FROM health_shards WHERE calculated_on < '2026-11-22'"
    deadline = monotonic() + SECONDS
    while await admin.fetchval(behind) > 1:
        assert monotonic() < deadline, "others wait for it"
        with suppress(ArithmeticError):
            await pass_of_the_night(system_pool)
    monkeypatch.undo()
    monkeypatch.setattr(clock, "now", lambda: time[0])
    assert await pass_of_the_night(system_pool) == 1
    assert (await health(admin, contact))["computed_at"] == time[0]


async def die_before_the_commit(admin: Any, pool: Pool) -> None:
    """Compute a night, and lose the connection: what PostgreSQL sees of a kill -9."""
    async with begin(pool, SYSTEM) as tx:
        while await service.recalculate(tx):
            pass
        connection: Any = await tx.connection()
        assert await connection.fetchval("SELECT count(*) FROM health_snapshots") == 2
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        await admin.execute("SELECT pg_terminate_backend($1, $2)", pid, SECONDS * 1000)


@pytest.mark.req("REL-06")
async def test_a_worker_that_dies_between_a_snapshot_and_its_event_leaves_neither(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await known(admin, system_pool, ada)
    time[0] += timedelta(days=100)
    before = await health(admin, contact)
    snapshots = "SELECT count(*) FROM health_snapshots"
    with pytest.raises(DomainError):
        await die_before_the_commit(admin, system_pool)
    assert await health(admin, contact) == before
    assert (await admin.fetchval(CHANGED), await admin.fetchval(snapshots)) == (1, 1)
    assert await pass_of_the_night(system_pool) == 16, "no shard passes for done"
    assert (await admin.fetchval(CHANGED), await admin.fetchval(snapshots)) == (2, 2)
