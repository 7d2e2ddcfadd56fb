"""The broker of a single process: streams in memory, delivery by a direct call."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

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
    keys_kept,
    meta_ttl_of,
)
from hub.realtime.protocol.messages import ClientInfo

# So many streams made are reason to look for those that have expired.
_SWEEP_STREAMS: Final = 1000
# Anybody who may subscribe can make a stream for every name that comes to mind.
_UNPUBLISHED_MAX: Final = 50_000


class _Stream(msgspec.Struct):
    epoch: str
    expires_at: float
    """When even epoch and top are forgotten."""
    top: int = 0
    kept: deque[Publication] = msgspec.field(default_factory=deque[Publication])
    kept_until: float = 0.0
    keys: OrderedDict[str, int] = msgspec.field(default_factory=OrderedDict[str, int])
    """Idempotency keys with the offsets of their publications."""
    keys_until: float = 0.0
    version: int = 0
    version_epoch: str = ""


class MemoryBroker:
    """Keeps everything in this process; a restart is a new epoch for every channel."""

    def __init__(self, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self._streams: dict[str, _Stream] = {}
        self._streams_made = 0
        self._results: dict[tuple[str, str], float] = {}
        """Keys of publications without history, with the time when they expire."""
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
        if stream.kept_until <= self._now():
            stream.kept.clear()
        if reverse:
            found = [item for item in reversed(stream.kept) if since is None or item.offset < since]
        else:
            found = [item for item in stream.kept if since is None or item.offset > since]
        if limit >= 0:
            found = found[:limit]
        return History(found, StreamPosition(stream.top, stream.epoch))

    async def remove_history(self, channel: str) -> None:
        """Forget the publications; see the port."""
        if stream := self._streams.get(channel):
            stream.kept.clear()

    async def end_stream(self, channel: str, epoch: str) -> None:
        """Forget the stream; see the port."""
        stream = self._streams.get(channel)
        if stream and stream.epoch == epoch:
            del self._streams[channel]

    def _publish(self, request: PublishRequest, payload: bytes) -> StreamPosition:
        if request.history.size > 0:
            return self._publish_kept(request, payload)
        key = (request.channel, request.idempotency_key)
        if request.idempotency_key:
            self._forget_old_results()
            if key in self._results:
                return StreamPosition()
            self._results[key] = self._now() + request.idempotency_ttl_seconds
        self._deliver(request.channel, Publication(payload), "")
        return StreamPosition()

    def _publish_kept(self, request: PublishRequest, payload: bytes) -> StreamPosition:
        now, key, history = self._now(), request.idempotency_key, request.history
        stream = self._stream(request.channel, meta_ttl_of(history))
        if stream.keys_until <= now:
            stream.keys.clear()
        if key and key in stream.keys:
            return StreamPosition(stream.keys[key], stream.epoch)
        if request.version:
            epochs = ("", stream.version_epoch)
            if request.version <= stream.version and request.version_epoch in epochs:
                return StreamPosition(stream.top, stream.epoch)
            stream.version, stream.version_epoch = request.version, request.version_epoch
        stream.top += 1
        if stream.kept_until <= now:
            stream.kept.clear()
        publication = Publication(payload, stream.top)
        stream.kept.append(publication)
        while len(stream.kept) > history.size:
            stream.kept.popleft()
        # Expiry is the stream's, renewed by each publication, as Redis expires a whole key.
        stream.kept_until = now + history.ttl_seconds
        if key:
            stream.keys[key] = stream.top
            while stream.keys and next(iter(stream.keys.values())) <= stream.top - keys_kept(
                history
            ):
                stream.keys.popitem(last=False)
            stream.keys_until = now + max(request.idempotency_ttl_seconds, history.ttl_seconds)
        self._deliver(request.channel, publication, stream.epoch)
        return StreamPosition(stream.top, stream.epoch)

    def _deliver(self, channel: str, publication: Publication, epoch: str) -> None:
        if self._on_publication and channel in self._subscribed:
            self._on_publication(channel, publication, epoch)

    def _tell(self, told: OnInfo | None, channel: str, info: ClientInfo) -> None:
        if told and channel in self._subscribed:
            told(channel, info)
            if self._on_batch_end:
                self._on_batch_end()

    def _stream(self, channel: str, meta_ttl_seconds: int) -> _Stream:
        now = self._now()
        stream = self._streams.get(channel)
        if stream is None or stream.expires_at <= now:
            self._streams_made += 1
            if self._streams_made % _SWEEP_STREAMS == 0:
                self._forget_old_streams()
            stream = self._streams[channel] = _Stream(ids.new_token(6), 0.0)
        stream.expires_at = now + (meta_ttl_seconds or META_TTL_SECONDS)
        return stream

    def _forget_old_streams(self) -> None:
        now = self._now()
        for channel, stream in list(self._streams.items()):
            if stream.expires_at <= now:
                del self._streams[channel]
            elif stream.kept_until <= now:
                stream.kept.clear()
        unpublished = [
            channel
            for channel, stream in self._streams.items()
            if stream.top == 0 and channel not in self._subscribed
        ]
        # Whoever comes back to one of these is told that it is another stream.
        for channel in unpublished[: max(0, len(unpublished) - _UNPUBLISHED_MAX)]:
            del self._streams[channel]

    def _forget_old_results(self) -> None:
        now = self._now()
        while self._results:
            oldest = next(iter(self._results))
            if self._results[oldest] > now:
                break
            del self._results[oldest]
