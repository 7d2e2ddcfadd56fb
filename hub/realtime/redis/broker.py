"""The broker of many processes: streams in Redis, delivery by pub/sub. Redis 6.2 commands only.

Two connections: one for commands, one for subscriptions. Each is kept alive by its own loop, which
pings it twice a second: a Redis that hangs is noticed as surely as one that is gone.
"""

import asyncio
import contextlib
from collections import OrderedDict
from typing import Final

from core import config, ids, log
from hub.realtime import metrics
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
from hub.realtime.redis.commands import RedisCommands, RunScript
from hub.realtime.redis.entries import encode_info
from hub.realtime.redis.link import Argument, text
from hub.realtime.redis.subscriptions import (
    JOIN,
    LEAVE,
    Receiver,
    RedisSubscriptions,
    Subscribed,
)

# Of so many channels that it is not subscribed to a process remembers what it has seen.
_WITNESSED_MAX: Final = 20_000
_WITNESS_CHUNK: Final = 500

_logger = log.get("realtime.broker")


class RedisBroker:
    """Publishes through one script per publication; reconnects for ever; never repeats a call."""

    def __init__(self, settings: config.Redis) -> None:
        self.commands = RedisCommands(settings, self._testify)
        self._prefix = settings.key_prefix
        self._channel_prefix = f"{self._prefix}:channel:".encode()
        self._deadline_seconds = settings.call_deadline_seconds
        self._subscriptions = RedisSubscriptions(
            settings,
            self.commands,
            prefix=self._channel_prefix,
            on_departed=self._depart,
        )
        self._witnessed: OrderedDict[str, StreamPosition] = OrderedDict()
        self._receives = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def healthy(self) -> bool:
        """Whether every connection this process needs answered a moment ago."""
        return self.commands.healthy and (not self._receives or self._subscriptions.healthy)

    async def start(
        self,
        on_publication: OnPublication | None = None,
        on_gap: OnGap | None = None,
        *,
        on_join: OnInfo | None = None,
        on_leave: OnInfo | None = None,
        on_batch_end: OnBatchEnd | None = None,
    ) -> None:
        """Begin to connect; returns when connected or when the first deadline is over."""
        self._receives = on_publication is not None
        connected, subscribing = asyncio.Event(), asyncio.Event()
        self._tasks = [asyncio.create_task(self.commands.keep(connected))]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                await connected.wait()
        if not on_publication:
            return
        receiver = Receiver(on_publication, on_gap, on_join, on_leave, on_batch_end)
        self._tasks.append(asyncio.create_task(self._subscriptions.keep(subscribing, receiver)))
        if connected.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._deadline_seconds):
                    await subscribing.wait()

    async def close(self) -> None:
        """Stop; calls under way fail."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def publish(self, request: PublishRequest) -> StreamPosition:
        """Publish once. After BrokerUnavailableError only a request with a key may be repeated."""
        return (await self.publish_many([request]))[0]

    async def publish_many(self, requests: list[PublishRequest]) -> list[StreamPosition]:
        """Publish in order in one round trip."""
        # Randomness has its price; a number is enough to tell the requests of a batch apart.
        token = ids.new_token(6)
        calls = [
            self._publish_arguments(request, f"{token}{number or ''}")
            for number, request in enumerate(requests)
        ]
        replies = await self.commands.run("publish", calls)
        positions = [StreamPosition(int(reply[0]), text(reply[1])) for reply in replies]
        for request, position in zip(requests, positions, strict=True):
            self._witness(request.channel, position)
        return positions

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """Tell that a client joined."""
        await self._tell(channel, JOIN, info)

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """Tell that a client left."""
        await self._tell(channel, LEAVE, info)

    async def subscribe(self, channel: str) -> None:
        """Subscribe this process; returns after Redis confirmed."""
        await self._subscriptions.subscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        """Forget the channel now; Redis is told if it is there."""
        self._subscriptions.unsubscribe(channel)

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
        arguments: list[Argument] = [
            3,
            *self._stream_keys(channel),
            "" if since is None else str(since),
            limit,
            int(reverse),
            meta_ttl_seconds or META_TTL_SECONDS,
            ids.new_token(6),
        ]
        top_offset, epoch, found = (await self.commands.run("history", [arguments]))[0]
        top = StreamPosition(int(top_offset), text(epoch))
        self._witness(channel, top)
        publications = [
            Publication(found[index + 1], int(found[index])) for index in range(0, len(found), 2)
        ]
        return History(publications, top)

    async def remove_history(self, channel: str) -> None:
        """Forget the publications; see the port."""
        await self.commands.run("remove_history", [[1, self._stream_keys(channel)[0]]])

    async def end_stream(self, channel: str, epoch: str) -> None:
        """Forget the stream; see the port."""
        await self.commands.run("end_stream", [[3, *self._stream_keys(channel), epoch]])

    def _stream_keys(self, channel: str) -> tuple[str, str, str]:
        return (
            f"{self._prefix}:stream:{{{channel}}}",
            f"{self._prefix}:meta:{{{channel}}}",
            f"{self._prefix}:keys:{{{channel}}}",
        )

    def _publish_arguments(self, request: PublishRequest, epoch: str) -> list[Argument]:
        key, history = request.idempotency_key, request.history
        return [
            4,
            *self._stream_keys(request.channel),
            f"{self._prefix}:result:{{{request.channel}}}:{key}",
            encode_payload(request),
            self._channel_prefix + request.channel.encode(),
            history.size,
            history.ttl_seconds,
            meta_ttl_of(history),
            epoch,
            key,
            max(request.idempotency_ttl_seconds, history.ttl_seconds) if key else 0,
            keys_kept(history),
            request.version,
            request.version_epoch,
            self.commands.run_id,
        ]

    async def _tell(self, channel: str, kind: bytes, info: ClientInfo) -> None:
        message = kind + b"::" + encode_info(info)
        await self.commands.call("PUBLISH", self._channel_prefix + channel.encode(), message)

    def _depart(self, entry: Subscribed) -> None:
        self._witness(entry.channel, StreamPosition(entry.offset, entry.epoch_text))

    def _witness(self, channel: str, position: StreamPosition) -> None:
        if position.offset == 0:
            return
        known = self._witnessed.get(channel)
        if known and known.epoch == position.epoch and known.offset > position.offset:
            return
        self._witnessed[channel] = position
        self._witnessed.move_to_end(channel)
        if len(self._witnessed) > _WITNESSED_MAX:
            self._witnessed.popitem(last=False)

    async def _testify(self, run: RunScript, run_id: str) -> None:
        """Confront a Redis that was started anew with what this process has seen of the old one.

        It may have come back without publications that it had acknowledged and delivered. Their
        offsets must not be given again in the same epoch.
        """
        if self.commands.run_id in ("", run_id):
            return
        for entry in self._subscriptions.channels:
            self._depart(entry)
        claims = [
            [3, *self._stream_keys(channel), position.offset, position.epoch, run_id]
            for channel, position in self._witnessed.items()
        ]
        ended = 0
        for start in range(0, len(claims), _WITNESS_CHUNK):
            ended += (await run("witness", claims[start : start + _WITNESS_CHUNK])).count(1)
        if ended:
            metrics.EPOCHS_ENDED.inc(ended)
            _logger.error("redis_lost_publications", channels=ended)
