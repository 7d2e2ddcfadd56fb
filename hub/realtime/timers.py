"""One timer for all connections: a heap of deadlines, one callback of the event loop at a time."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

from core import clock

# Loops round to milliseconds and may call early: waiting for the rest of one would be a busy wait.
# Deadlines that are close also share a wake-up: thousands of connections are pinged in batches.
_TICK_SECONDS: Final = 0.02


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
        self._heap: list[tuple[float, int, Timed]] = []
        self._numbers = count()
        self._members: set[Timed] = set()
        self._handle: asyncio.TimerHandle | None = None
        self._fires_at = 0.0

    def add(self, member: Timed) -> None:
        """Watch a member from now on."""
        self._members.add(member)
        self._push(member)

    def update(self, member: Timed) -> None:
        """Tell that a member's deadline moved; only an earlier one needs a new entry."""
        if member in self._members and member.deadline < member.scheduled_at:
            self._push(member)

    def remove(self, member: Timed) -> None:
        """Forget a member; its entry in the heap is skipped when it comes up."""
        self._members.discard(member)

    def close(self) -> None:
        """Stop for good."""
        self._members.clear()
        self._heap.clear()
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _push(self, member: Timed) -> None:
        member.scheduled_at = member.deadline
        heapq.heappush(self._heap, (member.scheduled_at, next(self._numbers), member))
        self._arm()

    def _arm(self) -> None:
        if not self._heap:
            return
        due = self._heap[0][0]
        if self._handle:
            if self._fires_at <= due:
                return
            self._handle.cancel()
        self._fires_at = due
        delay = max(_TICK_SECONDS, due - self._now())
        self._handle = asyncio.get_running_loop().call_later(delay, self._run)

    def _run(self) -> None:
        self._handle = None
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            scheduled_at, _, member = heapq.heappop(self._heap)
            if member not in self._members or scheduled_at != member.scheduled_at:
                continue
            if member.deadline <= now:
                member.on_time(now)
            if member in self._members:
                # A deadline that did not move although it was due would spin: look again soon.
                member.scheduled_at = max(member.deadline, now + 0.01)
                heapq.heappush(self._heap, (member.scheduled_at, next(self._numbers), member))
        self._arm()
