"""Sign-in sessions that have ended while access tokens of theirs still live."""

from collections.abc import Callable, Iterable
from typing import Final

from core import clock

# The longest life of an access token, and a minute for clocks that differ.
KEEP_SECONDS: Final = 660.0


class Revocations:
    """Remembers each session until no token of it can be valid; so its size has a bound."""

    def __init__(self, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self._until: dict[str, float] = {}

    def add(self, sessions: Iterable[str]) -> None:
        """Refuse the tokens of these sessions from now on."""
        now = self._now()
        for session in sessions:
            # At the end again: entries stand in the order in which they leave.
            self._until.pop(session, None)
            self._until[session] = now + KEEP_SECONDS
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                break
            del self._until[oldest]

    def covers(self, session: str) -> bool:
        """Say whether a session has ended."""
        return session in self._until

    def __len__(self) -> int:
        return len(self._until)
