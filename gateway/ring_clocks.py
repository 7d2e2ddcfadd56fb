"""The clocks of all rings beside the gateway's own, which may be set at any moment."""

from collections.abc import Mapping
from typing import Final

from core import clock, log
from firmware_bridge import gatt, tap
from gateway.ring_time import RingTime, TapTime

SAVE_SECONDS: Final = 300.0
CLOCK_SET_MS: Final = 500
"""More than two readings of two clocks may lie apart."""

_log = log.get("gateway")


class RingClocks:
    """What is known of each ring's clock."""

    def __init__(self) -> None:
        self._times: dict[bytes, RingTime] = {}
        self._saved: dict[bytes, tuple[int, float]] = {}
        self._offset_ms = clock.unix_ms() - clock.since_start_ms()

    def load(self, states: Mapping[bytes, bytes]) -> None:
        """Take up what an earlier run has kept."""
        for ring, state in states.items():
            self._times[ring] = RingTime(state)

    def observe(
        self, ring: bytes, status: gatt.Status, unix_ms: int, round_trip_ms: float
    ) -> bytes | None:
        """Learn from a STATUS round trip; return what is to be kept now, if anything."""
        self._follow()
        time = self._times.setdefault(ring, RingTime())
        time.observe(status.boot, status.uptime_ms, unix_ms, round_trip_ms)
        now = clock.monotonic_seconds()
        boot, saved_at = self._saved.get(ring, (0, 0.0))
        if boot == status.boot and now - saved_at <= SAVE_SECONDS:
            return None
        self._saved[ring] = (status.boot, now)
        return time.dump()

    def date(self, ring: bytes, record: tap.TapRecord, received_ms: int, *, live: bool) -> TapTime:
        """Date a record that arrived at `received_ms`."""
        self._follow()
        time = self._times.setdefault(ring, RingTime())
        return time.date(record.boot, record.uptime_ms, received_ms, live=live)

    def _follow(self) -> None:
        """Keep the rings' clocks true to ours when ours was set meanwhile."""
        offset_ms = clock.unix_ms() - clock.since_start_ms()
        moved_ms = offset_ms - self._offset_ms
        if abs(moved_ms) < CLOCK_SET_MS:
            return
        self._offset_ms = offset_ms
        _log.warning("clock_set", moved_ms=moved_ms)
        for time in self._times.values():
            time.shift(moved_ms)
