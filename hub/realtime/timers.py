"""One timer for all connections: deadlines in buckets, one callback of the event loop at a time."""

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final, Protocol

from core import clock, log

# Loops round to milliseconds and may call early: waiting for the rest of one would be a busy wait.
_TICK_SECONDS: Final = 0.02
# What is far away may come a little late: thousands of connections are pinged in batches, and
# their pongs are read in batches.
_FAR_SECONDS: Final = 5.0
_TICKS_PER_FAR_SECOND: Final = 4


_logger = log.get("realtime.timers")


class Timed(Protocol):
    """Something with a deadline that may move."""

    scheduled_at: float

    @property
    def deadline(self) -> float:
        """When `on_time` wants to be called; may move at any time."""
        ...

    def on_time(self, now: float) -> None:
        """Do what is due."""
        ...


class Timers:
    """Calls each member when its deadline is reached, until it is removed."""

    def __init__(self, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self._times: list[float] = []
        """A heap of the moments that have a bucket."""
        self._buckets: dict[float, list[Timed]] = {}
        self._members: set[Timed] = set()
        self._handle: asyncio.TimerHandle | None = None
        self._fires_at = 0.0

    def add(self, member: Timed) -> None:
        """Watch a member from now on."""
        self._members.add(member)
        self._push(member)

    def update(self, member: Timed) -> None:
        """Tell that a member's deadline moved; only an earlier one needs another bucket."""
        if (
            member.deadline < member.scheduled_at
            and self._due(member) < member.scheduled_at
            and member in self._members
        ):
            self._push(member)

    def remove(self, member: Timed) -> None:
        """Forget a member; it is skipped when its bucket comes up."""
        self._members.discard(member)

    def close(self) -> None:
        """Stop for good."""
        self._members.clear()
        self._times.clear()
        self._buckets.clear()
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _push(self, member: Timed, not_before: float = 0.0) -> None:
        due = member.scheduled_at = max(self._due(member), not_before)
        bucket = self._buckets.get(due)
        if bucket is None:
            bucket = self._buckets[due] = []
            heapq.heappush(self._times, due)
            self._arm()
        bucket.append(member)

    def _due(self, member: Timed) -> float:
        deadline = member.deadline
        if deadline - self._now() < _FAR_SECONDS:
            return deadline
        return math.ceil(deadline * _TICKS_PER_FAR_SECOND) / _TICKS_PER_FAR_SECOND

    def _arm(self) -> None:
        if not self._times:
            return
        due = self._times[0]
        if self._handle:
            if self._fires_at <= due:
                return
            self._handle.cancel()
        self._fires_at = due
        delay = max(_TICK_SECONDS, due - self._now())
        self._handle = asyncio.get_running_loop().call_later(delay, self._run)

    def _run(self) -> None:
        now = self._now()
        while self._times and self._times[0] <= now:
            due = heapq.heappop(self._times)
            for member in self._buckets.pop(due):
                if member.scheduled_at != due or member not in self._members:
                    continue
                if member.deadline <= now:
                    self._call(member, now)
                if member in self._members and member.scheduled_at == due:
                    # A deadline that did not move although it was due would spin.
                    self._push(member, now + _TICK_SECONDS)
        self._handle = None
        self._arm()

    def _call(self, member: Timed, now: float) -> None:
        try:
            member.on_time(now)
        except Exception:
            # One member's fault must not stop the clock of all others.
            _logger.exception("timer_failed")
