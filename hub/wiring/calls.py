"""Calls of consumer tasks: what the relay puts into the stream that the workers read.

They are as Taskiq writes them, but made without it: a relay needs none of what the workers import.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final
from uuid import uuid4

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core import config
from hub.domains.events.schemas import TaskKey

# Acknowledged entries are deleted; this bounds what a long outage of all workers can pile up.
# A trimmed call is not lost: the sweeper kicks its row again.
_STREAM_MAX_LENGTH: Final = 100_000
# Events of one consumer in one message: fewer messages, yet a lost one delays only a few tasks.
_EVENTS_PER_MESSAGE: Final = 16
_POOL_MAX: Final = 4


class TaskCalls:
    """Calls workers; nothing connects before the first call."""

    def __init__(self, settings: config.Redis) -> None:
        self._stream = stream_of(settings)
        self._deadline_seconds = settings.call_deadline_seconds
        self._pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            config.require(settings.url, "redis.url"),
            max_connections=_POOL_MAX,
            **connection_options(self._deadline_seconds),
        )

    async def kick(self, tasks: Sequence[TaskKey]) -> None:
        """Ask the workers to run consumer tasks; they are in consumer_tasks already."""
        if messages := messages_of(tasks):
            await append(self._pool, self._stream, messages, self._deadline_seconds)

    async def close(self) -> None:
        """Let the connections go."""
        await self._pool.disconnect()


def stream_of(settings: config.Redis) -> str:
    """Return the key of the stream of calls."""
    return f"{settings.key_prefix}:tasks"


def connection_options(deadline_seconds: float, *, block_seconds: float = 0.0) -> dict[str, Any]:
    """Return how a connection to the stream is made; `block_seconds`: how long a read may wait."""
    return {
        # Never repeat a command by itself: an XADD whose answer was lost would run twice.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "socket_connect_timeout": deadline_seconds,
        "socket_timeout": deadline_seconds + block_seconds,
    }


def messages_of(tasks: Sequence[TaskKey]) -> list[bytes]:
    """Return the calls of some tasks, as TaskiqMessage in Taskiq's JSON."""
    by_consumer = sorted(tasks, key=lambda task: task.consumer)
    messages: list[bytes] = []
    for name, group in groupby(by_consumer, key=lambda task: task.consumer):
        event_ids = [task.event_id for task in group]
        for start in range(0, len(event_ids), _EVENTS_PER_MESSAGE):
            call: dict[str, object] = {
                "task_id": uuid4().hex,
                "task_name": name,
                "labels": {},
                "args": [event_ids[start : start + _EVENTS_PER_MESSAGE]],
                "kwargs": {},
            }
            messages.append(msgspec.json.encode(call))
    return messages


async def append(
    pool: BlockingConnectionPool,
    stream: str,
    messages: Sequence[bytes],
    deadline_seconds: float,
) -> None:
    """Append calls to the stream in one round trip, or raise within the deadline."""
    async with (
        asyncio.timeout(deadline_seconds),
        Redis(connection_pool=pool) as redis,
        redis.pipeline(transaction=False) as pipeline,
    ):
        for message in messages:
            pipeline.xadd(stream, {b"data": message}, maxlen=_STREAM_MAX_LENGTH, approximate=True)
        await pipeline.execute()
