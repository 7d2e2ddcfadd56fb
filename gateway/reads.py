"""Reads of NFC tags on their way: from the readers into the spool, and from there to the hub.

One at a time, in the order of arrival: a SUN link counts only if its counter is higher than the
last one, so a read that another overtook would be refused.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from core import clock, edge, log
from core.ids import new_id
from gateway import counters, machine_clock
from gateway.delivery import Delivery
from gateway.reader import Found
from gateway.readers import Readers
from gateway.sender import Sender
from gateway.spool import Entry, Spool, SpoolUnavailableError
from gateway.uplink import Uplink

RETRY_SECONDS: Final = 1.0
UNCERTAINTY_MS: Final = 1000
"""Between a touch and the end of its read lie polling and reading."""

_log = log.get("gateway.nfc")


class Reads:
    """The readers, and what they have read."""

    def __init__(
        self,
        specs: Sequence[str],
        spool: Spool,
        uplink: Uplink,
        random: Callable[[], float],
        *,
        gateway: str,
        wake: Callable[[], None],
    ) -> None:
        """`wake` makes the gateway look for what is to be sent; raises ConfigError."""
        self.readers = Readers(specs, self._take)
        self.delivery = Delivery(random, window=1)
        self.sender = Sender(
            spool,
            uplink,
            self.delivery,
            lambda row: edge.read_topic(gateway, row.reader),
            reads=True,
        )
        self.place: tuple[float | None, float | None] = (None, None)
        """Latitude and longitude of the gateway."""
        self._spool = spool
        self._wake = wake

    async def settle(self, read_id: bytes, code: str) -> None:
        """Take the hub's word on a read."""
        now = clock.monotonic_seconds()
        if code == edge.DEFERRED:
            self.delivery.deferred(read_id, 0, now)
            return
        try:
            if code:
                await self._spool.quarantine(read_id, 0, [(0, code)])
                counters.REFUSED.labels(code).inc()
                _log.warning("read_refused", read=read_id.hex(), reason=code)
            elif await self._spool.acknowledge(read_id, 0, [(0, 0)]):
                counters.READS_ACKNOWLEDGED.inc()
        except SpoolUnavailableError:
            return  # still in the window: sent again, acknowledged again
        self.delivery.settled(read_id, 0, 0, 0, now)
        self._wake()

    async def _take(self, reader: str, found: Found) -> None:
        """Put a read on disk; until that is done the reader looks at no other tag."""
        received = machine_clock.read()
        read = edge.TagRead(
            id=new_id().bytes,
            url=found.url,
            uid=found.uid,
            t=received.unix_ms,
            unc_ms=UNCERTAINTY_MS,
            t_src="gateway",
            rx_ms=received.unix_ms,
            lat=self.place[0],
            lon=self.place[1],
        )
        entry = Entry(
            read.id,
            0,
            0,
            read.url.encode(),
            edge.encode(read),
            received.unix_ms,
            received.anchor,
            reader,
        )
        while (outcome := await self._put(entry)) not in ("stored", "duplicate"):
            _log.error("read_waits", reader=reader, reason=outcome)
            await asyncio.sleep(RETRY_SECONDS)
        self.sender.stored()
        self._wake()

    async def _put(self, entry: Entry) -> str:
        try:
            outcome = await self._spool.put(entry)
        except SpoolUnavailableError:
            outcome = "unavailable"
        counters.READS.labels(outcome).inc()
        return outcome
