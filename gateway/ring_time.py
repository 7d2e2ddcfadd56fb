"""When a tap happened: a ring's uptime translated to Unix time, with the uncertainty stated.

Each STATUS round trip pins the uptime of a boot to the gateway's clock within half the round trip;
the pin ages with the drift of the ring's crystal. Taps of a boot that was never pinned lie between
the last sign of an older boot and the start of the next one.
"""

import math
from typing import Final

import msgspec

from core.edge import TimeSource

DRIFT: Final = 50e-6
BOOTS_KEPT: Final = 8
UNPINNED_LIVE_MS: Final = 1000
"""A live record without a pin is as old as connection interval and notification queue at most."""
_WRAP: Final = 1 << 32  # the ring's uptime is a u32 of milliseconds: 49.7 days


class Pin(msgspec.Struct):
    """Uptime `uptime_ms` of a boot was Unix time `unix_ms`, give or take `uncertainty_ms`."""

    uptime_ms: int
    unix_ms: int
    uncertainty_ms: float


class Boot(msgspec.Struct):
    """What is known of one run of a ring."""

    boot: int
    first_heard_ms: int
    last_heard_ms: int
    pin: Pin | None = None
    doubt_ms: int = 0
    """How far the gateway's clock may have been set since, unseen."""


class TapTime(msgspec.Struct, frozen=True):
    """A tap's Unix time, if it can be told."""

    unix_ms: int | None
    uncertainty_ms: int
    source: TimeSource


class RingTime:
    """The clock of one ring over its boots."""

    def __init__(self, state: bytes = b"") -> None:
        """`state` is what `dump` returned earlier; anything else begins anew."""
        try:
            boots = msgspec.msgpack.decode(state, type=list[Boot]) if state else []
        except msgspec.DecodeError:
            boots = []
        self._boots = {boot.boot: boot for boot in boots}

    def dump(self) -> bytes:
        """Return what must survive a restart of the gateway."""
        return msgspec.msgpack.encode(list(self._boots.values()))

    def observe(self, boot: int, uptime_ms: int, unix_ms: int, round_trip_ms: float) -> None:
        """A STATUS round trip, `unix_ms` in its middle, showed this uptime."""
        known = self._heard(boot, unix_ms)
        uncertainty_ms = round_trip_ms / 2
        pin = known.pin
        if pin is not None and uncertainty_ms > _aged(pin, unix_ms):
            expected = _by_pin(pin, uptime_ms)
            # Both cannot be true when they differ more: our clock was set since, so the new one is.
            apart_ms = abs(unix_ms - (expected.unix_ms or 0))
            if apart_ms <= expected.uncertainty_ms + uncertainty_ms + 1:
                return
        known.pin = Pin(uptime_ms, unix_ms, uncertainty_ms)

    def shift(self, moved_ms: int) -> None:
        """The gateway's clock was set by so much: what is known moves with it."""
        for known in self._boots.values():
            known.first_heard_ms += moved_ms
            known.last_heard_ms += moved_ms
            if known.pin is not None:
                known.pin.unix_ms += moved_ms

    def doubt(self, doubt_ms: int) -> None:
        """The gateway's clock may have been set by so much, unseen: nothing is surer than that."""
        for known in self._boots.values():
            known.doubt_ms += doubt_ms
            if known.pin is not None:
                known.pin.uncertainty_ms += doubt_ms

    def date(self, boot: int, uptime_ms: int, received_ms: int, *, live: bool) -> TapTime:
        """Date a record; `live` when it was not replayed from the ring's memory."""
        known = self._boots.get(boot)
        if known is not None and known.pin is not None:
            return _by_pin(known.pin, uptime_ms)
        if live:
            self._heard(boot, received_ms)
            return TapTime(received_ms, UNPINNED_LIVE_MS, "gateway")
        return self._by_bounds(boot, uptime_ms, received_ms)

    def _by_bounds(self, boot: int, uptime_ms: int, received_ms: int) -> TapTime:
        earlier = [known for known in self._boots.values() if known.boot < boot]
        later = [known for known in self._boots.values() if known.boot > boot]
        if not earlier:
            return TapTime(None, 0, "none")
        # The boot began after the last sign of an older one, and its uptime had passed by then.
        after = max(known.last_heard_ms - known.doubt_ms for known in earlier) + uptime_ms
        before = min((_began_ms(known) + known.doubt_ms for known in later), default=received_ms)
        before = max(after, before)
        return TapTime((after + before) // 2, (before - after + 1) // 2, "bounded")

    def _heard(self, boot: int, unix_ms: int) -> Boot:
        known = self._boots.setdefault(boot, Boot(boot, unix_ms, unix_ms))
        known.last_heard_ms = max(known.last_heard_ms, unix_ms)
        for old in sorted(self._boots)[:-BOOTS_KEPT]:
            del self._boots[old]
        return known


def _aged(pin: Pin, unix_ms: int) -> float:
    return pin.uncertainty_ms + DRIFT * abs(unix_ms - pin.unix_ms)


def _by_pin(pin: Pin, uptime_ms: int) -> TapTime:
    # Signed distance on the circle of the u32, so that a pin serves 24 days either way.
    distance = (uptime_ms - pin.uptime_ms + _WRAP // 2) % _WRAP - _WRAP // 2
    unix_ms = pin.unix_ms + distance
    return TapTime(unix_ms, math.ceil(_aged(pin, unix_ms)) + 1, "synced")


def _began_ms(known: Boot) -> int:
    if known.pin is None:
        return known.first_heard_ms
    began = known.pin.unix_ms - known.pin.uptime_ms + math.ceil(known.pin.uncertainty_ms)
    return min(known.first_heard_ms, began)
