"""Rows of the spool on their way to the broker: taps, or reads of tags, in windows of their own."""

from collections.abc import Callable

from core import clock, edge
from gateway import machine_clock
from gateway.delivery import Delivery
from gateway.spool import Spool, SpoolUnavailableError
from gateway.spool_rows import Row
from gateway.uplink import Uplink


class Sender:
    """Keeps the window of a Delivery full out of the spool, and sends what is due."""

    def __init__(
        self,
        spool: Spool,
        uplink: Uplink,
        delivery: Delivery,
        topic_of: Callable[[Row], str],
        *,
        reads: bool = False,
    ) -> None:
        """`reads`: carry reads of tags, not taps."""
        self._spool = spool
        self._uplink = uplink
        self._delivery = delivery
        self._topic_of = topic_of
        self._reads = reads
        self._may_have_more = True
        self._generation = spool.generation

    def stored(self) -> None:
        """Another row is in the spool."""
        self._may_have_more = True

    async def refill(self) -> None:
        """Fill the window; may raise SpoolUnavailableError."""
        if self._generation != self._spool.generation:
            # The file was replaced: row ids began anew, and with them the window.
            self._generation = self._spool.generation
            self._delivery.restart()
            self._may_have_more = True
        room = self._delivery.room
        if room <= 0 or not self._may_have_more:
            return
        self._may_have_more = False
        try:
            rows = await self._spool.after(self._delivery.cursor, room, reads=self._reads)
        except SpoolUnavailableError:
            self._may_have_more = True
            raise
        self._may_have_more = self._may_have_more or len(rows) == room
        self._delivery.offer(rows, clock.monotonic_seconds())

    def send_due(self) -> None:
        """Hand what is due to the broker."""
        now = clock.monotonic_seconds()
        reading = machine_clock.read()
        sent: list[int] = []
        for row in self._delivery.due(now):
            # By the clock of now, whose error the hub sees; the row's own may have been another.
            since = machine_clock.correction(row.received_ms, row.clock, reading)
            payload = edge.stamp(
                row.payload,
                reading.unix_ms,
                moved_ms=since.moved_ms,
                widened_ms=since.widened_ms,
            )
            mid = self._uplink.publish(self._topic_of(row), payload)
            if mid is None:
                break
            self._delivery.sent(row, mid, now)
            sent.append(row.id)
        if sent:
            self._spool.mark_sent(sent)
