"""What rings say, into the spool: only what is on disk may be acknowledged."""

from collections.abc import Callable, Coroutine
from contextlib import suppress

from core import edge, log
from firmware_bridge import gatt, tap
from gateway import counters, machine_clock
from gateway.ring_clocks import RingClocks
from gateway.spool import Entry, Spool, SpoolUnavailableError

_log = log.get("gateway")


class Intake:
    """The radio's Sink: dates records by their ring's clock and stores them."""

    def __init__(
        self,
        spool: Spool,
        *,
        stored: Callable[[], None],
        start: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        """`stored` is called when another tap is on disk; `start` runs what nobody waits for."""
        self.place: tuple[float | None, float | None] = (None, None)
        """Latitude and longitude of the taps."""
        self._spool = spool
        self._stored = stored
        self._start = start
        self._clocks = RingClocks()
        self._is_full = False

    async def recall(self) -> None:
        """Take up the rings' clocks as an earlier run has kept them."""
        self._clocks.load(await self._spool.remembered())

    def observe(self, ring: bytes, status: gatt.Status, unix_ms: int, round_trip_ms: float) -> None:
        """Learn a ring's clock from a STATUS round trip."""
        state = self._clocks.observe(ring, status, unix_ms, round_trip_ms)
        if state is not None:
            self._start(self._save_clock(ring, state))

    async def store(
        self, ring: bytes, record: tap.TapRecord, raw: bytes, *, rssi: int | None, live: bool
    ) -> bool:
        """Return whether the record is on disk; only then may the ring forget it."""
        received = machine_clock.read()
        when = self._clocks.date(ring, record, received, live=live)
        event = edge.TapEvent(
            ring=ring,
            boot=record.boot,
            seq=record.seq,
            raw=raw,
            t=when.unix_ms,
            unc_ms=when.uncertainty_ms,
            t_src=when.source,
            rx_ms=received.unix_ms,
            rssi=rssi,
            lat=self.place[0],
            lon=self.place[1],
        )
        entry = Entry(
            ring,
            record.boot,
            record.seq,
            raw,
            edge.encode(event),
            received.unix_ms,
            received.anchor,
        )
        try:
            outcome = await self._spool.put(entry)
        except SpoolUnavailableError:
            counters.TAPS.labels("unavailable").inc()
            return False
        counters.TAPS.labels(outcome).inc()
        self._note_room(outcome == "full")
        if outcome == "stored":
            self._stored()
        return outcome in ("stored", "duplicate")

    def _note_room(self, is_full: bool) -> None:
        if is_full and not self._is_full:
            _log.error("spool_full", rows=self._spool.max_rows)
        self._is_full = is_full

    async def _save_clock(self, ring: bytes, state: bytes) -> None:
        with suppress(SpoolUnavailableError):  # known again after the next STATUS
            await self._spool.remember(ring, state)
