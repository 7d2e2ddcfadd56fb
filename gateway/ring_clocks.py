"""The clocks of all rings beside the gateway's own, which may be set at any moment."""

from collections.abc import Mapping
from typing import Final

import msgspec

from core import clock, log
from firmware_bridge import gatt, tap
from gateway import machine_clock
from gateway.machine_clock import STEP_MS, Anchor, Reading
from gateway.ring_time import RingTime, TapTime

SAVE_SECONDS: Final = 300.0

_log = log.get("gateway")


class _Kept(msgspec.Struct, frozen=True):
    """A ring's clock as it is kept, and the gateway's own clock of that moment."""

    unix_ms: int
    anchor: Anchor
    time: bytes


class RingClocks:
    """What is known of each ring's clock."""

    def __init__(self) -> None:
        self._times: dict[bytes, RingTime] = {}
        self._saved: dict[bytes, tuple[int, float]] = {}
        self._anchor = machine_clock.read().anchor

    def load(self, states: Mapping[bytes, bytes]) -> None:
        """Take up what an earlier run has kept, by the clock of now."""
        now = machine_clock.read()
        for ring, state in states.items():
            try:
                kept = msgspec.msgpack.decode(state, type=_Kept)
            except msgspec.DecodeError:
                continue  # known again after the next STATUS
            self._times[ring] = time = RingTime(kept.time)
            correction = machine_clock.correction(kept.unix_ms, kept.anchor, now)
            time.shift(correction.moved_ms)
            time.doubt(correction.widened_ms)

    def observe(
        self, ring: bytes, status: gatt.Status, unix_ms: int, round_trip_ms: float
    ) -> bytes | None:
        """Learn from a STATUS round trip; return what is to be kept now, if anything."""
        reading = machine_clock.read()
        self._follow(reading)
        time = self._times.setdefault(ring, RingTime())
        time.observe(status.boot, status.uptime_ms, unix_ms, round_trip_ms)
        now = clock.monotonic_seconds()
        boot, saved_at = self._saved.get(ring, (0, 0.0))
        if boot == status.boot and now - saved_at <= SAVE_SECONDS:
            return None
        self._saved[ring] = (status.boot, now)
        return msgspec.msgpack.encode(_Kept(reading.unix_ms, reading.anchor, time.dump()))

    def date(self, ring: bytes, record: tap.TapRecord, received: Reading, *, live: bool) -> TapTime:
        """Date a record that has just arrived."""
        self._follow(received)
        time = self._times.setdefault(ring, RingTime())
        return time.date(record.boot, record.uptime_ms, received.unix_ms, live=live)

    def _follow(self, now: Reading) -> None:
        """Keep the rings' clocks true to ours when ours was set meanwhile."""
        moved_ms = now.anchor.offset_ms - self._anchor.offset_ms
        if abs(moved_ms) < STEP_MS:
            return
        self._anchor = now.anchor
        _log.warning("clock_set", moved_ms=moved_ms)
        for time in self._times.values():
            time.shift(moved_ms)
