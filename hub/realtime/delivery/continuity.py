"""Keeping channels whole: after anything that may lose publications, compare with the stream.

What is missing and still kept is delivered late, in order, to sockets that stay open. What cannot
be proved complete is told to every subscriber.
"""

import asyncio
import contextlib
from itertools import islice
from typing import Final

from core import clock, log
from hub.realtime import metrics
from hub.realtime.broker import Broker, BrokerUnavailableError, Publication
from hub.realtime.delivery import recovery
from hub.realtime.delivery.fanout import Arrival, Fanout
from hub.realtime.delivery.registry import Channel, Registry
from hub.realtime.protocol import payload

_PARALLEL: Final = 64
_RETRY_SECONDS: Final = 0.2
# Often enough for a quantile of a minute, too seldom to cost anything.
_SAMPLE_SECONDS: Final = 0.05

_logger = log.get("realtime.continuity")


class Continuity:
    """Receives every publication of this process and notices when one is missing."""

    def __init__(self, registry: Registry, broker: Broker, check_seconds: float) -> None:
        self._registry = registry
        self._fanout = Fanout()
        self._broker = broker
        self._check_seconds = check_seconds
        self._doubtful: dict[str, None] = {}
        self._batch_began_at = 0.0
        self._newest: Publication | None = None
        """The last of the publications that came together."""
        self._next_sample_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the periodic checks."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the checks."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def on_publication(self, name: str, publication: Publication, epoch: str) -> None:
        """Deliver a publication, or find out what is wrong with the channel."""
        channel = self._registry.channels.get(name)
        if channel is None:
            return
        if channel.resync and publication.offset:
            channel.dropped_offset = max(channel.dropped_offset, publication.offset)
            return
        if not self._batch_began_at:
            self._batch_began_at = clock.monotonic_seconds()
        self._newest = publication
        arrival = self._fanout.deliver(channel, publication, epoch)
        if arrival is not Arrival.DELIVERED and arrival is not Arrival.DUPLICATE:
            self._start_resync(channel)

    def on_batch_end(self) -> None:
        """Write what came in one read of the broker's connection."""
        self._fanout.flush()
        if self._newest:
            self._measure(self._newest)
            self._newest, self._batch_began_at = None, 0.0

    def doubt_everything(self) -> None:
        """Any channel may have missed something."""
        self._doubtful.update(dict.fromkeys(self._registry.channels))
        self._wake.set()

    async def resync(self, channel: Channel) -> None:
        """Compare a channel with its stream; deliver what is missing or tell the subscribers."""
        await asyncio.shield(self._start_resync(channel))

    def _measure(self, newest: Publication) -> None:
        now = clock.monotonic_seconds()
        metrics.BROADCAST_SECONDS.observe(now - self._batch_began_at)
        if now >= self._next_sample_at:
            self._next_sample_at = now + _SAMPLE_SECONDS
            if published_ms := payload.time_of(newest.payload):
                # Clocks of two machines may disagree by more than this takes.
                age_ms = max(0, clock.unix_ms() - published_ms)
                metrics.PUBLISH_TO_DELIVERY_SECONDS.observe(age_ms / 1000)

    def _start_resync(self, channel: Channel) -> asyncio.Task[None]:
        if channel.resync is None:
            channel.resync = asyncio.create_task(self._resync(channel))
        return channel.resync

    async def _resync(self, channel: Channel) -> None:
        try:
            while channel.position is not None and channel.namespace.has_history:
                channel.dropped_offset = 0
                if await self._compare(channel):
                    return
        except BrokerUnavailableError:
            # Safe meanwhile: what does not follow the position is not delivered.
            self._doubtful[channel.name] = None
            self._wake.set()
        finally:
            channel.resync = None

    async def _compare(self, channel: Channel) -> bool:
        position = channel.position
        if position is None:
            return True
        size = channel.namespace.history_size
        history = await self._broker.history(channel.name, since=position.offset, limit=size + 1)
        top = history.top
        publications = recovery.missed(position, history, size)
        if publications is None and top.epoch == position.epoch and top.offset < position.offset:
            # Redis came back with an older state. Offsets would be given twice: end this epoch.
            await self._broker.end_stream(channel.name, position.epoch)
            return False
        if publications is None:
            metrics.RESYNCS.labels(outcome="lost").inc()
            lost = self._fanout.invalidate(channel, top)
            self._registry.forget(len(lost))
            _logger.warning("channel_continuity_lost", subscribers=len(lost))
            for subscriber in lost:
                subscriber.lose_state(channel.name)
        else:
            metrics.RESYNCS.labels(outcome="caught_up" if publications else "complete").inc()
            for publication in publications:
                self._fanout.deliver(channel, publication, top.epoch)
            self._fanout.flush()
        return channel.dropped_offset <= top.offset

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_check = loop.time() + self._check_seconds
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_check):
                    await self._wake.wait()
            self._wake.clear()
            if loop.time() >= next_check:
                next_check = loop.time() + self._check_seconds
                self._doubt_quiet_channels()
            while self._doubtful:
                names = list(islice(self._doubtful, _PARALLEL))
                for name in names:
                    del self._doubtful[name]
                channels = [self._registry.channels.get(name) for name in names]
                await asyncio.gather(*(self.resync(item) for item in channels if item))
                # Also a broker that answers may refuse, such as one that is out of memory.
                if not self._broker.healthy or any(name in self._doubtful for name in names):
                    await asyncio.sleep(_RETRY_SECONDS)

    def _doubt_quiet_channels(self) -> None:
        for name, channel in self._registry.channels.items():
            if channel.quiet and channel.namespace.has_history:
                self._doubtful[name] = None
            channel.quiet = True
