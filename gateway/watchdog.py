"""Scanning that silently stops is the commonest fault of gateways: what silence calls for."""

from typing import Final, Literal

RESTART_SECONDS: Final = 60.0
REOPEN_SECONDS: Final = 180.0

Measure = Literal["restart_scan", "reopen_adapter"]


class Watchdog:
    """Tells when the radio has been silent for too long; sans-I/O."""

    def __init__(self) -> None:
        self._heard_at = 0.0
        self._restarted_at = 0.0

    def restarted(self, now: float) -> None:
        """The adapter was opened: silence is counted from here."""
        self._heard_at = self._restarted_at = now

    def heard(self, now: float) -> None:
        """An advertisement came in."""
        self._heard_at = self._restarted_at = now

    def check(self, now: float, *, is_linked: bool) -> Measure | None:
        """Return what to do; a standing link proves the radio, as linked rings are silent."""
        if is_linked:
            self.heard(now)
            return None
        if now - self._heard_at >= REOPEN_SECONDS:
            self.restarted(now)
            return "reopen_adapter"
        if now - self._restarted_at >= RESTART_SECONDS:
            self._restarted_at = now
            return "restart_scan"
        return None
