"""The way of committed events out of the database, and of consumer tasks to their end."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from core import log
from core.actor import SYSTEM
from core.db import Pool, Tx, begin
from core.errors import DomainError
from hub.domains.events import queries, rules
from hub.domains.events.schemas import Consumer, Errand, OutboxEvent, TaskKey
from hub.providers.outside import Outside

# The consumer under which an event that cannot be published stands among the dead letters.
RELAY_CONSUMER: Final = "relay"

# Shards are looked for among so many batches of the oldest rows, not in a backlog of millions.
_LOOK_AHEAD: Final = 4
_ERRAND_RETRY_SECONDS: Final = 2.0

_log = log.get("events")
_done = Counter("pinghub_consumer_tasks_done", "Consumer tasks finished", ["consumer"])
_failed = Counter(
    "pinghub_consumer_tasks_failed", "Failed attempts of consumer tasks", ["consumer"]
)


async def take_outbox(tx: Tx, *, shards: int, shards_max: int, limit: int) -> list[OutboxEvent]:
    """Lock up to `shards_max` waiting shards until commit; return their oldest events."""
    locked = await queries.lock_shards.all(tx, shards, shards_max, limit * _LOOK_AHEAD)
    return await queries.read_outbox.all(tx, shards, locked, limit) if locked else []


async def in_conversation(tx: Tx, conversation_id: UUID) -> bool:
    """Tell whether the actor takes part in a conversation."""
    return await queries.in_conversation.one(tx, conversation_id)


async def members_of(tx: Tx, conversations: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Return the users in each conversation, with one query."""
    wanted = list(conversations)
    members: dict[UUID, list[UUID]] = {}
    if wanted:
        for row in await queries.conversation_members.all(tx, wanted):
            members.setdefault(row.conversation_id, []).append(row.user_id)
    return members


async def finish_outbox(
    tx: Tx,
    events: Sequence[OutboxEvent],
    *,
    tasks: Sequence[TaskKey],
    dead_letters: Mapping[UUID, str],
    kick_deadline_seconds: float,
) -> None:
    """Write what follows from published events and delete their outbox rows.

    The sweeper may kick a task that is not done `kick_deadline_seconds` from now.
    """
    occurred_at = {event.event_id: event.occurred_at for event in events}
    if tasks:
        await queries.insert_tasks.run(
            tx,
            [task.event_id for task in tasks],
            [occurred_at[task.event_id] for task in tasks],
            [task.consumer for task in tasks],
            kick_deadline_seconds,
        )
    for event_id, reason in dead_letters.items():
        await queries.insert_dead_letter.run(
            tx, event_id, occurred_at[event_id], RELAY_CONSUMER, reason
        )
    await queries.delete_outbox.run(tx, [event.seq for event in events])


async def sweep_tasks(tx: Tx, *, stale_seconds: float, limit: int) -> list[TaskKey]:
    """Return tasks whose time has come again: retries due, calls lost, workers dead."""
    return await queries.sweep_tasks.all(tx, stale_seconds, limit)


async def consume(pool: Pool, consumer: Consumer, event_id: UUID, outside: Outside) -> bool:
    """Run a consumer once in effect: claim, reaction and the mark "done" are one transaction.

    An errand that the reaction returns is run between two: it may happen again, but never be lost.
    Returns False when there was nothing to do: done, dead, or in another worker's hands. A failure
    is recorded and never raised, except that PostgreSQL is away: then the sweeper kicks it again.
    """
    try:
        async with begin(pool, SYSTEM) as tx:
            event = await queries.claim_task.first(tx, event_id, consumer.name)
            if event is None:
                return False
            errand = await consumer.react(tx, event)
            if errand is None:
                await queries.finish_task.run(tx, event_id, consumer.name)
        if errand is not None and not await _run_errand(pool, consumer, event_id, errand, outside):
            return False
    except DomainError as error:
        if error.code == "service.unavailable":
            raise
        await _record_failure(pool, consumer, event_id, error)
    except Exception as error:  # noqa: BLE001  # whatever a reaction raises is retried, then seen
        await _record_failure(pool, consumer, event_id, error)
    else:
        _done.labels(consumer.name).inc()
        return True
    return False


async def _run_errand(
    pool: Pool, consumer: Consumer, event_id: UUID, errand: Errand, outside: Outside
) -> bool:
    """Run an errand; whatever it needs may be away for long, which is no failure of the task."""
    try:
        await errand(outside)
    except DomainError as error:
        if error.code != "service.unavailable":
            raise
        _log.warning("errand_waits", consumer=consumer.name, event_id=str(event_id))
        async with begin(pool, SYSTEM) as tx:
            await queries.postpone_task.run(tx, event_id, consumer.name, _ERRAND_RETRY_SECONDS)
        return False
    async with begin(pool, SYSTEM) as tx:
        await queries.finish_task.run(tx, event_id, consumer.name)
    return True


async def _record_failure(pool: Pool, consumer: Consumer, event_id: UUID, error: Exception) -> None:
    _failed.labels(consumer.name).inc()
    async with begin(pool, SYSTEM) as tx:
        attempts = await queries.count_failure.first(tx, event_id, consumer.name, _summary(error))
        if attempts is None:
            return
        if rules.is_dead(attempts):
            await queries.bury_task.run(tx, event_id, consumer.name)
        else:
            delay = rules.retry_delay_seconds(attempts, random.random())  # noqa: S311  # jitter
            await queries.postpone_task.run(tx, event_id, consumer.name, delay)
    _log.warning(
        "consumer_failed",
        consumer=consumer.name,
        event_id=str(event_id),
        attempts=attempts,
        error=type(error).__name__,
    )


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
