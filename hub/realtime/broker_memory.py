"""The broker of a single process: streams in memory, delivery by a direct call."""

from collections import deque
from collections.abc import Callable

import msgspec

from core import clock, ids
from hub.realtime.broker import (
    History,
    OnGap,
    OnPublication,
    Publication,
    PublishRequest,
    StreamPosition,
    encode_payload,
)


class _Stream(msgspec.Struct):
    epoch: str
    top: int = 0
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

    @property
    def healthy(self) -> bool:
        """Always: it has no outside."""
        return True

    async def start(
        self, on_publication: OnPublication | None = None, on_gap: OnGap | None = None
    ) -> None:
        """Deliver to `on_publication` from now on; there are no gaps here."""
        del on_gap
        self._on_publication = on_publication

    async def close(self) -> None:
        """Deliver nothing more."""
        self._on_publication = None

    async def publish(self, request: PublishRequest) -> StreamPosition:
        """Store and deliver one publication."""
        payload = encode_payload(request)
        self._forget_old_results()
        result_key = (request.channel, request.idempotency_key)
        if request.idempotency_key and result_key in self._results:
            return self._results[result_key][1]
        publication, position = self._store(request, payload)
        if request.idempotency_key:
            window = max(request.idempotency_ttl_seconds, request.history.ttl_seconds)
            self._results[result_key] = (self._now() + window, position)
        if self._on_publication and request.channel in self._subscribed:
            self._on_publication(request.channel, publication, position.epoch)
        return position

    async def publish_many(self, requests: list[PublishRequest]) -> list[StreamPosition]:
        """Publish in order."""
        return [await self.publish(request) for request in requests]

    async def subscribe(self, channel: str) -> None:
        """Deliver the channel from now on."""
        self._subscribed.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        """Stop delivering the channel."""
        self._subscribed.discard(channel)

    async def history(
        self, channel: str, *, since: int | None = None, limit: int = -1, reverse: bool = False
    ) -> History:
        """Read the stream; see the port."""
        stream = self._stream(channel)
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

    def _stream(self, channel: str) -> _Stream:
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = _Stream(epoch=ids.new_token(6))
        return stream

    def _store(self, request: PublishRequest, payload: bytes) -> tuple[Publication, StreamPosition]:
        if request.history.size <= 0:
            return Publication(payload), StreamPosition()
        stream = self._stream(request.channel)
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
