"""A consumer runs once in effect for each event, and a failing one ends among the dead letters."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core import config
from core.db import Pool, Tx, assert_no_transaction
from core.errors import DomainError
from hub.domains.events import rules, service
from hub.domains.events.schemas import Consumer, Event
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from hub.wiring.slices import CONSUMERS
from tests.fixtures.world import World

NOWHERE = Outside(config.Settings(), MqttSender(config.Mqtt()))


@pytest_asyncio.fixture
async def event_id(admin: Any, world: World) -> UUID:
    """An event with a pending task of the consumer "test"."""
    event_id = await admin.fetchval(
        "SELECT app.emit('ring.renamed', $1, 'ring', $2, '{\"label\": \"x\"}')",
        world.user_id,
        world.ring_id,
    )
    await add_task(admin, event_id, "test")
    return event_id


async def add_task(admin: Any, event_id: UUID, consumer: str) -> None:
    await admin.execute(
        """
        INSERT INTO consumer_tasks (event_id, occurred_at, consumer)
        SELECT id, occurred_at, $2 FROM events WHERE id = $1
        """,
        event_id,
        consumer,
    )


class Reaction:
    """Counts in the database how often it took effect, and fails when told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.events: list[Event] = []

    async def __call__(self, tx: Tx, event: Event) -> None:
        self.events.append(event)
        connection = await tx.connection()
        await connection.execute("UPDATE profiles SET points = points + 1")
        if self.failure:
            raise self.failure


async def points(admin: Any) -> int:
    return await admin.fetchval("SELECT points FROM profiles")


async def state(admin: Any) -> tuple[str, int, str | None]:
    row = await admin.fetchrow("SELECT status, attempts, last_error FROM consumer_tasks")
    return row["status"], row["attempts"], row["last_error"]


async def test_the_reaction_and_the_mark_are_one_transaction(
    admin: Any, system_pool: Pool, world: World, event_id: UUID
) -> None:
    reaction = Reaction()
    assert await service.consume(system_pool, Consumer("test", reaction), event_id, NOWHERE)
    assert await state(admin) == ("done", 0, None)
    assert await points(admin) == 1
    [event] = reaction.events
    assert (event.id, event.type, event.user_id) == (event_id, "ring.renamed", world.user_id)
    assert bytes(event.payload) == b'{"label": "x"}'


async def test_a_task_that_is_done_has_no_second_effect(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    consumer = Consumer("test", Reaction())
    await service.consume(system_pool, consumer, event_id, NOWHERE)
    assert not await service.consume(system_pool, consumer, event_id, NOWHERE)
    assert await points(admin) == 1


async def test_many_workers_at_once_have_one_effect(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    consumer = Consumer("test", Reaction())
    ran = await asyncio.gather(
        *(service.consume(system_pool, consumer, event_id, NOWHERE) for _ in range(8))
    )
    assert sum(ran) == 1
    assert await points(admin) == 1


async def test_a_failure_leaves_no_effect_and_is_retried_later(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    consumer = Consumer("test", Reaction(ValueError("no such luck")))
    assert not await service.consume(system_pool, consumer, event_id, NOWHERE)
    assert await state(admin) == ("pending", 1, "ValueError: no such luck")
    assert await points(admin) == 0
    wait = await admin.fetchval("SELECT available_at - now() FROM consumer_tasks")
    assert timedelta(0) < wait <= timedelta(seconds=2)


async def test_a_task_that_keeps_failing_is_buried_with_its_error(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    consumer = Consumer("test", Reaction(DomainError("ring.not_found")))
    for _ in range(rules.MAX_ATTEMPTS + 3):
        await service.consume(system_pool, consumer, event_id, NOWHERE)
    status, attempts, error = await state(admin)
    assert (status, attempts) == ("dead", rules.MAX_ATTEMPTS)
    assert error is not None
    assert "Ring not found" in error


async def test_a_database_that_went_away_is_no_failure_of_the_task(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    consumer = Consumer("test", Reaction(DomainError("service.unavailable")))
    with pytest.raises(DomainError):
        await service.consume(system_pool, consumer, event_id, NOWHERE)
    assert await state(admin) == ("pending", 0, None)


async def test_a_reaction_cancelled_halfway_has_no_effect(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    started = asyncio.Event()

    async def hang(tx: Tx, event: Event) -> None:
        await Reaction()(tx, event)
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(
        service.consume(system_pool, Consumer("test", hang), event_id, NOWHERE)
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await points(admin) == 0
    assert await service.consume(system_pool, Consumer("test", Reaction()), event_id, NOWHERE)
    assert await points(admin) == 1


async def test_mark_active_moves_the_profile_forward_only(
    admin: Any, system_pool: Pool, world: World
) -> None:
    [mark_active] = [item for item in CONSUMERS if item.name == "profiles.mark_active"]
    moments: list[Any] = []
    for seq, age in ((1, "1 hour"), (2, "3 hours")):
        event_id = await admin.fetchval(
            "SELECT app.emit('ring.tapped', $1, 'ring', $2, '{}')", world.user_id, world.ring_id
        )
        await admin.execute(
            "UPDATE events SET occurred_at = now() - $2::text::interval WHERE id = $1",
            event_id,
            age,
        )
        await add_task(admin, event_id, mark_active.name)
        assert await service.consume(system_pool, mark_active, event_id, NOWHERE), seq
        moments.append(await admin.fetchval("SELECT last_active_at FROM profiles"))
    assert moments[0] is not None
    assert moments[1] == moments[0]


async def test_an_errand_is_run_outside_of_any_transaction_and_then_the_task_is_done(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    seen: list[tuple[Outside, str]] = []

    async def errand(outside: Outside) -> None:
        assert_no_transaction()
        seen.append((outside, (await state(admin))[0]))

    async def react(_tx: Tx, _event: Event) -> Any:
        return errand

    assert await service.consume(system_pool, Consumer("test", react), event_id, NOWHERE)
    assert seen == [(NOWHERE, "pending")]
    assert await state(admin) == ("done", 0, None)


async def test_an_errand_waits_as_long_as_what_it_needs_is_away(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    async def errand(_outside: Outside) -> None:
        raise DomainError("service.unavailable")

    async def react(_tx: Tx, _event: Event) -> Any:
        return errand

    for _ in range(30):
        assert not await service.consume(system_pool, Consumer("test", react), event_id, NOWHERE)
    assert await state(admin) == ("pending", 0, None)
    is_soon = "SELECT available_at BETWEEN now() AND now() + interval '5 s' FROM consumer_tasks"
    assert await admin.fetchval(is_soon)


async def test_an_errand_that_fails_is_tried_again_and_counted(
    admin: Any, system_pool: Pool, event_id: UUID
) -> None:
    async def errand(_outside: Outside) -> None:
        raise ValueError("no such luck")

    async def react(_tx: Tx, _event: Event) -> Any:
        return errand

    assert not await service.consume(system_pool, Consumer("test", react), event_id, NOWHERE)
    assert await state(admin) == ("pending", 1, "ValueError: no such luck")
