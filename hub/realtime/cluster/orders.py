"""The stream of orders, followed so that none is missed: positioned like any channel.

What a process misses while it has no Redis it reads afterwards. When that cannot be proved complete
the process is told, once, that orders are lost.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from core import log
from hub.realtime.broker import (
    Broker,
    BrokerUnavailableError,
    HistoryOptions,
    Publication,
    StreamPosition,
)
from hub.realtime.delivery import recovery

CHANNEL: Final = "orders"
# More orders than anybody gives in the longest outage that is worth surviving.
KEPT: Final = HistoryOptions(size=10_000, ttl_seconds=3600)
_CHECK_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.2

_logger = log.get("realtime.control")


class OrderStream:
    """Hands over each order once and in order, or says that some are lost."""

    def __init__(
        self,
        broker: Broker,
        on_order: Callable[[Publication], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._on_order = on_order
        self._on_lost = on_lost
        self._position: StreamPosition | None = None
        self._doubt = asyncio.Event()

    def on_publication(self, publication: Publication, epoch: str) -> None:
        """Take an order that arrived live."""
        position = self._position
        if position is None:
            return
        follows = publication.offset - position.offset
        if epoch != position.epoch or follows > 1:
            self._doubt.set()
        elif follows == 1:
            self._position = StreamPosition(publication.offset, epoch)
            self._on_order(publication)

    def doubt(self) -> None:
        """Orders may have been missed: compare with the stream."""
        self._doubt.set()

    async def begin(self) -> None:
        """Stand at the top of the stream; orders before it are nobody's here."""
        self._position = (await self._broker.history(CHANNEL, limit=0)).top

    async def follow(self) -> None:
        """Compare with the stream whenever there is doubt, and now and then without; for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                await self._compare()
            except BrokerUnavailableError:
                self._doubt.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _compare(self) -> None:
        before = self._position
        if before is None:
            return
        history = await self._broker.history(CHANNEL, since=before.offset, limit=KEPT.size + 1)
        top = history.top
        missed = recovery.missed(before, history, KEPT.size)
        if missed is None:
            if top.epoch == before.epoch and top.offset < before.offset:
                # An older state came back: its offsets would be given twice. End the epoch.
                await self._broker.end_stream(CHANNEL, top.epoch)
                self._doubt.set()
                return
            _logger.error("control_orders_lost")
            self._position = top
            self._on_lost()
            return
        for publication in missed:
            # Some may have arrived live while the stream was read; those are not news.
            self.on_publication(publication, top.epoch)
