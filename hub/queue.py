"""Taskiq over Redis Streams: what runs consumer tasks and periodic tasks.

`taskiq worker hub.queue:create_broker` and `taskiq scheduler hub.queue:create_scheduler` work as
they are. Redis only carries the call; the consumer_tasks row in PostgreSQL is the truth, so a lost
or doubled message costs time, never an effect.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, cast
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from taskiq import AckableMessage, AsyncBroker, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.message import BrokerMessage
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_redis import RedisStreamBroker

from core import config, log
from core.actor import SYSTEM
from core.config import Settings
from core.crypto import FieldCipher
from core.db import Pool, begin
from core.errors import DomainError
from core.pause import pause_seconds
from hub.domains.encryption import service as encryption
from hub.domains.events import service as events
from hub.domains.events.schemas import Consumer, Errand
from hub.providers.keys import read_cipher, read_index_key
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from hub.wiring import calls
from hub.wiring.slices import (
    CONSUMERS,
    PERIODIC_TASKS,
    PeriodicTask,
    sealing_consumers,
    sealing_tasks,
)

# A message of a dead worker is taken over after this; far above the time a task needs, because a
# message taken over too early is only wasted work, and far below the patience of a user.
RECLAIM_AFTER_SECONDS: Final = 15.0
_BLOCK_SECONDS: Final = 2.0
_POOL_MAX: Final = 20

_Entry = tuple[bytes, dict[bytes, bytes]]
_Stream = tuple[bytes, list[_Entry]]

_log = log.get("queue")


class StreamBroker(RedisStreamBroker):
    """The Redis Streams broker of taskiq-redis, made to outlive outages of Redis and of workers.

    Differences: takes over a dead worker's messages on an idle queue too, deletes what is
    acknowledged, declares its group again after Redis came back empty, never gives up listening.
    """

    def __init__(
        self, url: str, *, queue_name: str, deadline_seconds: float, reclaim_seconds: float
    ) -> None:
        super().__init__(
            url,
            queue_name=queue_name,
            consumer_group_name="workers",
            consumer_id="0",
            xread_block=int(min(_BLOCK_SECONDS, reclaim_seconds / 3) * 1000),
            idle_timeout=int(reclaim_seconds * 1000),
            max_connection_pool_size=_POOL_MAX,
            **calls.connection_options(deadline_seconds, block_seconds=_BLOCK_SECONDS),
        )
        self._deadline_seconds = deadline_seconds
        self._reclaim_seconds = reclaim_seconds

    async def startup(self) -> None:
        """Run the start-up handlers; the group is declared by `listen`, when Redis is there."""
        await AsyncBroker.startup(self)

    async def kick(self, message: BrokerMessage) -> None:
        """Append one call to the stream, or raise within the deadline."""
        await calls.append(
            self.connection_pool, self.queue_name, [message.message], self._deadline_seconds
        )

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield calls for ever: new ones, and those of workers that died with them."""
        failures = 0
        while True:
            try:
                async with Redis(connection_pool=self.connection_pool) as redis:
                    await self._declare_consumer_group()
                    async for message in self._read(redis):
                        failures = 0
                        yield message
            except (RedisError, OSError, TimeoutError) as error:
                failures += 1
                _log.warning("queue_unavailable", error=type(error).__name__)
                await asyncio.sleep(pause_seconds(failures))

    async def _read(self, redis: "Redis") -> AsyncGenerator[AckableMessage, None]:
        loop = asyncio.get_running_loop()
        reclaim_at = loop.time()
        while True:
            if loop.time() >= reclaim_at:
                reclaim_at = loop.time() + self._reclaim_seconds / 3
                for entry_id, fields in await self._reclaim(redis):
                    yield self._ackable(entry_id, fields)
            fetched: list[_Stream] | None = await cast("Any", redis).xreadgroup(
                self.consumer_group_name,
                self.consumer_name,
                {self.queue_name: ">"},
                block=self.block,
                count=self.count,
            )
            for _stream, entries in fetched or []:
                for entry_id, fields in entries:
                    yield self._ackable(entry_id, fields)

    async def _reclaim(self, redis: "Redis") -> list[_Entry]:
        answer: Any = await cast("Any", redis).xautoclaim(
            self.queue_name,
            self.consumer_group_name,
            self.consumer_name,
            min_idle_time=self.idle_timeout,
            count=self.unacknowledged_batch_size,
        )
        # Redis 6.2 reports entries that were trimmed meanwhile without fields.
        return [(entry_id, fields) for entry_id, fields in answer[1] if fields]

    def _ackable(self, entry_id: bytes, fields: dict[bytes, bytes]) -> AckableMessage:
        async def ack() -> None:
            # Unacknowledged, it is delivered again and finds its rows done.
            with suppress(RedisError, OSError, TimeoutError):
                async with (
                    Redis(connection_pool=self.connection_pool) as redis,
                    redis.pipeline(transaction=False) as pipeline,
                ):
                    pipeline.xack(self.queue_name, self.consumer_group_name, entry_id)
                    pipeline.xdel(self.queue_name, entry_id)
                    await pipeline.execute()

        return AckableMessage(data=fields[b"data"], ack=ack)

    async def _declare_consumer_group(self) -> None:
        async with Redis(connection_pool=self.connection_pool) as redis:
            try:
                await redis.xgroup_create(
                    self.queue_name, self.consumer_group_name, id=self.consumer_id, mkstream=True
                )
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def create_broker(settings: Settings | None = None) -> StreamBroker:
    """Return the broker with every slice's tasks registered; nothing connects before start-up."""
    settings = settings or config.load()
    broker = StreamBroker(
        config.require(settings.redis.url, "redis.url"),
        queue_name=calls.stream_of(settings.redis),
        deadline_seconds=settings.redis.call_deadline_seconds,
        reclaim_seconds=RECLAIM_AFTER_SECONDS,
    )
    broker.state.outside = Outside(
        settings,
        MqttSender(settings.mqtt),
        lambda: broker.state.pool,
        lambda: broker.state.cipher,
    )

    def cipher() -> FieldCipher:
        # Of the worker alone: relay and scheduler only call, and need no keys.
        return broker.state.cipher

    def index_key() -> bytes:
        return read_index_key(settings)

    for consumer in (*CONSUMERS, *sealing_consumers(cipher, index_key)):
        broker.register_task(_consumer_call(broker.state, consumer), task_name=consumer.name)
    for task in (*PERIODIC_TASKS, *sealing_tasks(cipher)):
        broker.register_task(
            _periodic_call(broker.state, task),
            task_name=task.name,
            schedule=[{"interval": task.every_seconds, "schedule_id": task.name}],
        )
    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, _opener(settings))
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, _close)
    return broker


def create_scheduler(settings: Settings | None = None) -> TaskiqScheduler:
    """Return the scheduler of the periodic tasks."""
    broker = create_broker(settings)
    return TaskiqScheduler(broker, [LabelScheduleSource(broker)])


def _consumer_call(state: TaskiqState, consumer: Consumer) -> Callable[..., Awaitable[None]]:
    async def consume(event_ids: list[UUID]) -> None:
        failure: DomainError | None = None
        for event_id in event_ids:
            try:
                await events.consume(state.pool, consumer, event_id, state.outside)
            except DomainError as error:
                # It may be this event's own statement that times out: the others get their turn.
                failure = error
        if failure is not None:
            raise failure

    return consume


def _periodic_call(state: TaskiqState, task: PeriodicTask) -> Callable[..., Awaitable[None]]:
    async def run() -> None:
        left: bool | Errand = True
        while left is True:
            async with begin(state.pool, SYSTEM) as tx:
                left = await task.run(tx)
        if left:
            await left(state.outside)

    return run


def _opener(settings: Settings) -> Callable[[TaskiqState], Awaitable[None]]:
    async def open_pool(state: TaskiqState) -> None:
        state.cipher = read_cipher(settings)
        database = settings.database
        state.pool = await Pool.configured(
            database,
            config.require(database.system_url, "database.system_url"),
            max_size=database.worker_pool_max,
        )
        state.opened = AsyncExitStack()
        state.opened.push_async_callback(state.pool.close)
        await state.opened.enter_async_context(
            encryption.kept(state.pool, state.cipher, settings.keys)
        )
        log.get("worker").info("process_ready")

    return open_pool


async def _close(state: TaskiqState) -> None:
    await state.outside.mqtt.close()
    await state.opened.aclose()
