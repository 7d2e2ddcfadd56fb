"""What the slices bring: reactions to events and periodic tasks, by the name they run under."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from core.db import Tx
from hub.domains.events.schemas import Consumer
from hub.domains.housekeeping import service as housekeeping
from hub.domains.profiles import tasks as profiles


class PeriodicTask(msgspec.Struct, frozen=True):
    """Work that repeats; run at start and then every `every_seconds`, so it must be idempotent.

    `run` returns whether it left work for another transaction, which then follows at once.
    """

    name: str
    every_seconds: int
    run: Callable[[Tx], Awaitable[bool]]


_HOUR: Final = 3600

CONSUMERS: Final = (Consumer("profiles.mark_active", profiles.mark_active),)

PERIODIC_TASKS: Final = (
    PeriodicTask("housekeeping.create_partitions", 6 * _HOUR, housekeeping.create_partitions),
    PeriodicTask("housekeeping.purge_idempotency", _HOUR, housekeeping.purge_idempotency_keys),
    PeriodicTask("housekeeping.purge_consumer_tasks", _HOUR, housekeeping.purge_consumer_tasks),
    PeriodicTask("housekeeping.purge_rejected_taps", _HOUR, housekeeping.purge_rejected_taps),
)
