"""The broker of a single process: streams in memory, delivery by a direct call."""

from collections import deque
from collections.abc import Callable

import msgspec

from core import clock, ids
from hub.realtime.broker import (
    META_TTL_SECONDS,
    History,
    OnBatchEnd,
    OnGap,
    OnInfo,
    OnPublication,
    Publication,
    PublishRequest,
    StreamPosition,
    encode_payload,
    meta_ttl_of,
)
from hub.realtime.protocol.messages import ClientInfo


class _Stream(msgspec.Struct):
    epoch: str
    expires_at: float
    """When even epoch and top are forgotten."""
    top: int = 0
    version: int = 0
    version_epoch: str = ""
    kept: deque[tuple[float, Publication]] = msgspec.field(
        default_factory=deque[tuple[float, Publication]]
    )
    """Publications with the time when they expire."""


class MemoryBroker:
    """Keeps everything in this process; a restart is a new epoch for every channel."""

    def __init__(self, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self._streams: dict[str, _Stream] = {}
        self._results: dict[tuple[str, str], tuple[float, StreamPosition]] = {}
        self._subscribed: set[str] = set()
        self._on_publication: OnPublication | None = None
        self._on_join: OnInfo | None = None
        self._on_leave: OnInfo | None = None
        self._on_batch_end: OnBatchEnd | None = None

    @property
    def healthy(self) -> bool:
        """Always: it has no outside."""
        return True

    async def start(
        self,
        on_publication: OnPublication | None = None,
        on_gap: OnGap | None = None,
        *,
        on_join: OnInfo | None = None,
        on_leave: OnInfo | None = None,
        on_batch_end: OnBatchEnd | None = None,
    ) -> None:
        """Deliver from now on; there are no gaps here."""
        del on_gap
        self._on_publication = on_publication
        self._on_join, self._on_leave = on_join, on_leave
        self._on_batch_end = on_batch_end

    async def close(self) -> None:
        """Deliver nothing more."""
        self._on_publication = self._on_join = self._on_leave = self._on_batch_end = None

    async def publish(self, request: PublishRequest) -> StreamPosition:
        """Store and deliver one publication."""
        return (await self.publish_many([request]))[0]

    async def publish_many(self, requests: list[PublishRequest]) -> list[StreamPosition]:
        """Publish in order, all or none."""
        payloads = [encode_payload(request) for request in requests]
        positions = [
            self._publish(request, payload)
            for request, payload in zip(requests, payloads, strict=True)
        ]
        if self._on_batch_end:
            self._on_batch_end()
        return positions

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """Tell that a client joined."""
        self._tell(self._on_join, channel, info)

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """Tell that a client left."""
        self._tell(self._on_leave, channel, info)

    async def subscribe(self, channel: str) -> None:
        """Deliver the channel from now on."""
        self._subscribed.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        """Stop delivering the channel."""
        self._subscribed.discard(channel)

    async def history(
        self,
        channel: str,
        *,
        since: int | None = None,
        limit: int = -1,
        reverse: bool = False,
        meta_ttl_seconds: int = 0,
    ) -> History:
        """Read the stream; see the port."""
        stream = self._stream(channel, meta_ttl_seconds)
        self._forget_old_publications(stream)
        found = [publication for _, publication in stream.kept]
        if reverse:
            found.reverse()
            found = [item for item in found if since is None or item.offset < since]
        else:
            found = [item for item in found if since is None or item.offset > since]
        if limit >= 0:
            found = found[:limit]
        return History(found, StreamPosition(stream.top, stream.epoch))

    async def remove_history(self, channel: str, *, epoch: str = "") -> None:
        """Forget the stream; see the port."""
        stream = self._streams.get(channel)
        if stream and (not epoch or stream.epoch == epoch):
            del self._streams[channel]

    def _publish(self, request: PublishRequest, payload: bytes) -> StreamPosition:
        self._forget_old_results()
        result_key = (request.channel, request.idempotency_key)
        if request.idempotency_key and result_key in self._results:
            return self._results[result_key][1]
        publication, position = self._store(request, payload)
        if publication is None:
            return position
        if request.idempotency_key:
            window = max(request.idempotency_ttl_seconds, request.history.ttl_seconds)
            self._results[result_key] = (self._now() + window, position)
        if self._on_publication and request.channel in self._subscribed:
            self._on_publication(request.channel, publication, position.epoch)
        return position

    def _tell(self, told: OnInfo | None, channel: str, info: ClientInfo) -> None:
        if told and channel in self._subscribed:
            told(channel, info)
            if self._on_batch_end:
                self._on_batch_end()

    def _stream(self, channel: str, meta_ttl_seconds: int) -> _Stream:
        now = self._now()
        expires_at = now + (meta_ttl_seconds or META_TTL_SECONDS)
        stream = self._streams.get(channel)
        if stream is None or stream.expires_at <= now:
            stream = self._streams[channel] = _Stream(ids.new_token(6), expires_at)
        stream.expires_at = expires_at
        return stream

    def _store(
        self, request: PublishRequest, payload: bytes
    ) -> tuple[Publication | None, StreamPosition]:
        """Return what was stored and the top; nothing is stored of an old version."""
        if request.history.size <= 0:
            return Publication(payload), StreamPosition()
        stream = self._stream(request.channel, meta_ttl_of(request.history))
        if request.version:
            if request.version <= stream.version and request.version_epoch in (
                "",
                stream.version_epoch,
            ):
                return None, StreamPosition(stream.top, stream.epoch)
            stream.version, stream.version_epoch = request.version, request.version_epoch
        stream.top += 1
        publication = Publication(payload, stream.top)
        # Expiry is the stream's, renewed by each publication, as Redis expires a whole key.
        expires_at = self._now() + request.history.ttl_seconds
        stream.kept.append((expires_at, publication))
        while len(stream.kept) > request.history.size:
            stream.kept.popleft()
        return publication, StreamPosition(stream.top, stream.epoch)

    def _forget_old_publications(self, stream: _Stream) -> None:
        if stream.kept and stream.kept[-1][0] <= self._now():
            stream.kept.clear()

    def _forget_old_results(self) -> None:
        now = self._now()
        while self._results:
            oldest = next(iter(self._results))
            if self._results[oldest][0] > now:
                break
            del self._results[oldest]
