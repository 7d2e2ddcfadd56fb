"""Carries committed events from the outbox to Redis, and their consumers' work to the workers.

A batch is one transaction: lock shards, read, publish, write consumer tasks, delete the outbox
rows. Publishing inside it is the one exception to "no network in a transaction": it is idempotent
on the event's id, so a relay that dies before its commit repeats the batch and nobody sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec
from prometheus_client import Counter

from core import clock, config, log, metrics
from core.actor import SYSTEM
from core.config import Settings
from core.db import Pool, begin, direct_address, listen
from core.errors import DomainError
from core.pause import pause_seconds
from hub.domains.events import service as events
from hub.domains.events.schemas import OutboxEvent, TaskKey
from hub.processes.lifecycle import heed_cancellation, run_until_stopped
from hub.realtime.broker import BrokerUnavailableError, PublishRequest
from hub.realtime.cluster.control import control_redis, order_request
from hub.realtime.cluster.orders import CHANNEL as ORDERS
from hub.realtime.redis.broker import RedisBroker
from hub.wiring.calls import TaskCalls
from hub.wiring.channels import history_of
from hub.wiring.events import Delivery, UndeliverableError, conversations_in, deliver

# While one lane waits for PostgreSQL, the other computes or waits for Redis.
_LANES: Final = 2
_POOLED_CONNECTIONS: Final = _LANES + 1  # one more for the sweeper
CONNECTIONS: Final = _POOLED_CONNECTIONS + 1
"""How many to PostgreSQL one process holds, the one that listens included."""
_SWEEP_MAX_TASKS: Final = 1000
# Between two batches: a lone event never waits for it, a stream of them shares transactions.
_GATHER_SECONDS: Final = 0.005

_log = log.get("relay")
_published = Counter("pinghub_relay_published", "Events published")
_buried = Counter("pinghub_relay_dead_letters", "Events that cannot be published")
_failures = Counter("pinghub_relay_failures", "Batches rolled back", ["cause"])

Publish = Callable[[list[PublishRequest]], Awaitable[object]]
Kick = Callable[[Sequence[TaskKey]], Awaitable[None]]
Wakes = asyncio.Queue[None]
"""At most one wake-up for each lane; each is taken by one of them."""


class Batch(msgspec.Struct):
    """What a batch of events turns into."""

    deliveries: list[Delivery]
    dead_letters: dict[UUID, str]


def run(settings: Settings) -> None:
    """Relay until stopped."""
    log.configure(settings.log.level, settings.log.style)
    metrics.serve(settings.metrics.port)
    run_until_stopped(lambda: _main(settings))


def plan(batch: Sequence[OutboxEvent], members: Mapping[UUID, Sequence[UUID]]) -> Batch:
    """Resolve each event's way; what cannot be published is a dead letter, and blocks nothing."""
    planned = Batch(deliveries=[], dead_letters={})
    for event in batch:
        if event.type is None:  # erased after its commit: nobody may learn of it any more
            continue
        try:
            planned.deliveries.append(deliver(event, members))
        except UndeliverableError as error:
            planned.dead_letters[event.event_id] = str(error)
        except Exception as error:  # noqa: BLE001  # ours, but the events behind it must go on
            planned.dead_letters[event.event_id] = f"plan: {error!r}"[:500]
    return planned


def requests_of(delivery: Delivery) -> list[PublishRequest]:
    """Return one publication per channel, and the order as one of the control stream.

    The event's id makes each of them repeatable.
    """
    requests: list[PublishRequest] = []
    if delivery.order:
        requests.append(order_request(delivery.order, key=str(delivery.event_id)))
    for channel in delivery.channels:
        history = history_of(channel)
        requests.append(
            PublishRequest(
                channel=channel,
                data=delivery.data,
                history=history,
                idempotency_key=str(delivery.event_id),
                idempotency_ttl_seconds=history.ttl_seconds,
                time_ms=clock.unix_ms(),
            )
        )
    return requests


async def relay_batch(
    pool: Pool, publish: Publish, kick: Kick, settings: config.Relay, *, lanes: int = 1
) -> int:
    """Carry the oldest events of some shards; return how many left the outbox."""
    async with begin(pool, SYSTEM) as tx:
        batch = await events.take_outbox(
            tx,
            shards=settings.shards,
            # Not all of them, so that the other lanes and relays find work at once.
            shards_max=-(-settings.shards // lanes),
            limit=settings.batch_max_events,
        )
        if not batch:
            return 0
        members = await events.members_of(tx, conversations_in(batch))
        planned = plan(batch, members)
        await _publish(publish, planned)
        tasks = [
            TaskKey(delivery.event_id, consumer)
            for delivery in planned.deliveries
            for consumer in delivery.consumers
        ]
        await events.finish_outbox(
            tx,
            batch,
            tasks=tasks,
            dead_letters=planned.dead_letters,
            kick_deadline_seconds=settings.stale_task_seconds,
        )
    _published.inc(len(planned.deliveries))
    for event_id, reason in planned.dead_letters.items():
        _buried.inc()
        _log.error("event_buried", event_id=str(event_id), reason=reason)
    await _kick(kick, tasks)
    return len(batch)


async def sweep(pool: Pool, kick: Kick, settings: config.Relay) -> int:
    """Kick tasks whose call was lost, whose worker died or whose retry is due."""
    async with begin(pool, SYSTEM) as tx:
        tasks = await events.sweep_tasks(
            tx, stale_seconds=settings.stale_task_seconds, limit=_SWEEP_MAX_TASKS
        )
    await _kick(kick, tasks)
    return len(tasks)


async def _publish(publish: Publish, planned: Batch) -> None:
    try:
        requests = [item for delivery in planned.deliveries for item in requests_of(delivery)]
        if requests:
            await publish(requests)
    except BrokerUnavailableError:
        raise
    except Exception:  # noqa: BLE001  # one of them is not acceptable: find it
        for delivery in list(planned.deliveries):
            try:
                await publish(requests_of(delivery))
            except BrokerUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this event's
                planned.deliveries.remove(delivery)
                planned.dead_letters[delivery.event_id] = f"publish: {error!r}"[:500]


async def _kick(kick: Kick, tasks: Sequence[TaskKey]) -> None:
    if not tasks:
        return
    try:
        await kick(tasks)
    except Exception as error:  # noqa: BLE001  # the rows are committed: the sweeper kicks again
        _log.warning("kick_failed", tasks=len(tasks), error=type(error).__name__)
    heed_cancellation()


async def _main(settings: Settings) -> None:
    database = settings.database
    system_url = config.require(database.system_url, "database.system_url")
    direct_url = direct_address(database, system_url)
    pool = await Pool.configured(database, system_url, max_size=_POOLED_CONNECTIONS)
    broker, control = RedisBroker(settings.redis), RedisBroker(control_redis(settings.redis))
    calls = TaskCalls(settings.redis)

    async def publish(requests: list[PublishRequest]) -> None:
        orders = [item for item in requests if item.channel == ORDERS]
        if orders:
            await control.publish_many(orders)
        await broker.publish_many([item for item in requests if item.channel != ORDERS])

    wakes: Wakes = asyncio.Queue(_LANES)
    await broker.start()
    await control.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(direct_url, wakes))
            for _ in range(_LANES):
                group.create_task(_lane(pool, publish, calls.kick, settings.relay, wakes))
            group.create_task(_sweep_for_ever(pool, calls.kick, settings.relay))
    finally:
        await broker.close()
        await control.close()
        await calls.close()
        await pool.close()


async def _listen(url: str, wakes: Wakes) -> None:
    ready = False
    async for _ in listen(url, "outbox"):
        if not ready:
            ready = True
            _log.info("process_ready")
        wake_one(wakes)


def wake_one(wakes: Wakes) -> None:
    """Let one lane look: an idle one now, else the first that finds nothing more."""
    with suppress(asyncio.QueueFull):
        wakes.put_nowait(None)


async def _lane(
    pool: Pool, publish: Publish, kick: Kick, settings: config.Relay, wakes: Wakes
) -> None:
    failures = 0
    while True:
        try:
            carried = await relay_batch(pool, publish, kick, settings, lanes=_LANES)
            failures = 0
        except Exception as error:  # noqa: BLE001  # rolled back whole: it may be tried for ever
            failures += 1
            _report("batch_failed", error, failures)
            await asyncio.sleep(pause_seconds(failures))
            continue
        if carried == settings.batch_max_events:
            wake_one(wakes)  # there is more than one lane's work
        elif carried:
            await asyncio.sleep(_GATHER_SECONDS)
        else:
            # A wake-up is taken before reading: what is committed from here on leaves another.
            await _wait(wakes, settings.poll_seconds)


async def _sweep_for_ever(pool: Pool, kick: Kick, settings: config.Relay) -> None:
    while True:
        try:
            while await sweep(pool, kick, settings) == _SWEEP_MAX_TASKS:
                pass
        except Exception as error:  # noqa: BLE001  # a sweep is repeated anyway
            _report("sweep_failed", error, 1)
        await asyncio.sleep(settings.sweep_seconds)


async def _wait(wakes: Wakes, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wakes.get()


def _report(event: str, error: Exception, failures: int) -> None:
    if isinstance(error, BrokerUnavailableError):
        cause = "redis"
    elif isinstance(error, DomainError) and error.code == "service.unavailable":
        cause = "postgres"
    else:
        cause = "unexpected"
    _failures.labels(cause).inc()
    if failures > 1 and failures % 20:
        return  # it is tried for ever: one line now and then is enough
    if cause == "unexpected":
        _log.exception(event, failures=failures)
    else:
        _log.warning(event, cause=cause, failures=failures)
