"""Log lines that strangers cause: said at once, then once in a while with how often it was.

A gateway that sends nonsense as fast as it can must not fill the disk of the hub.
"""

from collections.abc import Hashable
from typing import Final

from core import clock

_SUBJECTS_MAX: Final = 1000


class Sparingly:
    """Counts what happens by subject, and tells when it is time to say so."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._since: dict[Hashable, tuple[float, int]] = {}

    def turn(self, subject: Hashable) -> int:
        """Count one more; return how many there were since the last time, 0 if that was just now.

        Of the subjects beyond a thousand the oldest are forgotten.
        """
        now = clock.monotonic_seconds()
        said_at, count = self._since.get(subject, (None, 0))
        if said_at is not None and now - said_at < self._seconds:
            self._since[subject] = (said_at, count + 1)
            return 0
        self._since.pop(subject, None)
        self._since[subject] = (now, 0)
        if len(self._since) > _SUBJECTS_MAX:
            del self._since[next(iter(self._since))]
        return count + 1
