"""How often each of many may do something: a burst at once, then so many per second.

For what comes without a way to answer "later": what exceeds the budget is dropped by the caller.
"""

from collections.abc import Hashable
from typing import Final

from core import clock

_SUBJECTS_MAX: Final = 10_000


class Budget:
    """Token buckets by subject, in this process."""

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._left: dict[Hashable, tuple[float, float]] = {}

    def take(self, subject: Hashable) -> bool:
        """Take one; False: there is none left for this subject now.

        Of the subjects beyond ten thousand the one that was quiet for longest starts anew.
        """
        now = clock.monotonic_seconds()
        left, at = self._left.pop(subject, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        is_granted = left >= 1
        self._left[subject] = (left - is_granted, now)
        if len(self._left) > _SUBJECTS_MAX:
            del self._left[next(iter(self._left))]
        return is_granted
