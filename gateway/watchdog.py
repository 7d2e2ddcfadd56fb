"""Scanning that silently stops is the commonest fault of gateways: what silence calls for.

SILENT 60 s -> restart the scan -> 180 s -> power-cycle the adapter -> 300 s -> give up, so that the
supervisor starts a new process. Sans-I/O; times are monotonic seconds.
"""

from typing import Final, Literal

RESTART_SECONDS: Final = 60.0
POWER_CYCLE_SECONDS: Final = 180.0
GIVE_UP_SECONDS: Final = 300.0

Measure = Literal["restart_scan", "power_cycle", "give_up"]


class Watchdog:
    """Tells when one adapter has been silent for too long."""

    def __init__(self, now: float) -> None:
        self._heard_at = self._alive_at = now
        self._restarted_at = self._cycled_at = now
        self._has_heard = False

    def heard(self, now: float) -> None:
        """An advertisement came in, of whatever device."""
        self._heard_at = self._alive_at = now
        self._has_heard = True

    def is_alive(self, now: float) -> bool:
        """Whether the radio has proved itself lately."""
        return self._has_heard and now - self._alive_at < RESTART_SECONDS

    def check(self, now: float, *, is_linked: bool, may_give_up: bool = True) -> Measure | None:
        """Return what to do now; each measure counts as taken.

        A standing link proves the controller: only the scan is restarted beside it. A process that
        never heard anything does not give up: the next one would have no more to go by.
        """
        if is_linked:
            self._alive_at = now
        if self._has_heard and may_give_up and now - self._alive_at >= GIVE_UP_SECONDS:
            return "give_up"
        if now - max(self._alive_at, self._cycled_at) >= POWER_CYCLE_SECONDS:
            self._cycled_at = self._restarted_at = now
            return "power_cycle"
        if now - max(self._heard_at, self._restarted_at) >= RESTART_SECONDS:
            self._restarted_at = now
            return "restart_scan"
        return None
