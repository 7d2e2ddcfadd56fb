"""Housekeeping forgets what is over and keeps what may be asked for."""

from typing import Any
from uuid import uuid4

from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.housekeeping import service
from tests.fixtures.world import create_user


async def test_partitions_of_the_coming_months_exist_afterwards(
    admin: Any, system_pool: Pool
) -> None:
    query = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
    before = await admin.fetchval(query)
    for _ in range(2):
        async with begin(system_pool, SYSTEM) as tx:
            await service.create_partitions(tx)
    assert await admin.fetchval(query) >= max(before, service.PARTITIONS_AHEAD_MONTHS + 2)


async def test_expired_idempotency_keys_are_forgotten(admin: Any, system_pool: Pool) -> None:
    user = await create_user(admin, "Ada")
    for key, age in (("old", "25 hours"), ("young", "23 hours")):
        await admin.execute(
            """
            INSERT INTO idempotency_keys (user_id, key, request_hash, expires_at)
            VALUES ($1, $2, '', now() - $3::text::interval + interval '24 hours')
            """,
            user,
            key,
            age,
        )
    async with begin(system_pool, SYSTEM) as tx:
        await service.purge_idempotency_keys(tx)
    assert await admin.fetchval("SELECT array_agg(key) FROM idempotency_keys") == ["young"]


async def test_done_tasks_are_forgotten_after_a_week_and_dead_letters_are_not(
    admin: Any, system_pool: Pool
) -> None:
    await admin.execute("ALTER TABLE consumer_tasks DISABLE TRIGGER touch")
    for consumer, status, age in (
        ("old", "done", "8 days"),
        ("young", "done", "6 days"),
        ("dead", "dead", "80 days"),
        ("open", "pending", "8 days"),
    ):
        await admin.execute(
            """
            INSERT INTO consumer_tasks (event_id, occurred_at, consumer, status, updated_at)
            VALUES ($1, now(), $2, $3, now() - $4::text::interval)
            """,
            uuid4(),
            consumer,
            status,
            age,
        )
    async with begin(system_pool, SYSTEM) as tx:
        await service.purge_consumer_tasks(tx)
    left = await admin.fetchval("SELECT array_agg(consumer ORDER BY consumer) FROM consumer_tasks")
    assert left == ["dead", "open", "young"]


async def test_refused_taps_are_forgotten_after_ninety_days(admin: Any, system_pool: Pool) -> None:
    await admin.execute(
        """
        INSERT INTO rejected_taps (reason, seq, received_at)
        VALUES ('bad_tag', 1, now() - interval '91 days'), ('bad_tag', 2, now())
        """
    )
    async with begin(system_pool, SYSTEM) as tx:
        await service.purge_rejected_taps(tx)
    assert await admin.fetchval("SELECT array_agg(seq) FROM rejected_taps") == [2]
