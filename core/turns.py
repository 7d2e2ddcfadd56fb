"""Work that comes in masses, spread over turns of the event loop so that others have theirs.

Alone it is done at once: only what exceeds a turn's share waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

PER_TURN: Final = 4
"""A few milliseconds of handshakes or goodbyes."""


class Turns:
    """Does things in the order in which they were asked for, a few in each turn of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, per_turn: int = PER_TURN) -> None:
        self.loop = loop
        self._per_turn = per_turn
        self._left = per_turn
        self._waiting: deque[Callable[[], None]] = deque()

    def do(self, act: Callable[[], None]) -> None:
        """Do something now, or in a later turn when this one's share is used up."""
        if self._left == self._per_turn:
            self.loop.call_soon(self._next)
        if self._left and not self._waiting:
            self._left -= 1
            act()
        else:
            self._waiting.append(act)

    def _next(self) -> None:
        waiting = self._waiting
        self._left = self._per_turn
        if not waiting:
            return
        # First: what is done here may fail.
        self.loop.call_soon(self._next)
        while waiting and self._left:
            self._left -= 1
            waiting.popleft()()


_latest: Turns | None = None


def spread(act: Callable[[], None]) -> None:
    """Do something of which there may be thousands at once, within the running loop's share."""
    global _latest  # noqa: PLW0603  # a thread of this process runs one loop at a time
    loop = asyncio.get_running_loop()
    turns = _latest
    if turns is None or turns.loop is not loop:
        turns = _latest = Turns(loop)
    turns.do(act)
