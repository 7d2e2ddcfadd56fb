"""The broker of many processes: streams in Redis, delivery by pub/sub. Redis 6.2 commands only.

Two connections: one for commands, one for subscriptions. Each is kept alive by its own loop, which
pings it twice a second: a Redis that hangs is noticed as surely as one that is gone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final, cast

import hiredis

from core import clock, config, ids, log
from core.pause import LONGEST_SECONDS, pause_seconds
from hub.realtime import metrics
from hub.realtime.broker import (
    BrokerUnavailableError,
    History,
    OnGap,
    OnPublication,
    Publication,
    PublishRequest,
    StreamPosition,
    encode_payload,
)
from hub.realtime.redis_link import RedisLink, Reply, parse_address

_PING_SECONDS: Final = 0.5
# An outage shows within this time plus one ping interval: readiness must be red in two seconds.
_SILENCE_SECONDS: Final = 1.3
_SUBSCRIBE_CHUNK: Final = 500
# The epoch must outlive the publications by far: when it goes, every subscriber is told of a gap.
_META_TTL_SECONDS: Final = 90 * 24 * 3600
# A stream remembers the idempotency keys of so many publications: more than relays have under way.
_KEYS_MIN: Final = 5000
_SCRIPTS: Final = {
    name: (resources.files("hub.realtime") / "lua" / f"{name}.lua").read_text()
    for name in ("publish", "history", "remove_history")
}

_logger = log.get("realtime.broker")


class RedisBroker:
    """Publishes through one script per publication; reconnects for ever; never repeats a call."""

    def __init__(self, settings: config.Redis) -> None:
        self._address = parse_address(config.require(settings.url, "redis.url"))
        self._prefix = settings.key_prefix
        self._deadline_seconds = settings.call_deadline_seconds
        self._commands: RedisLink | None = None
        self._subscriptions: RedisLink | None = None
        self._shas: dict[str, str] = {}
        self._channels: set[str] = set()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._on_publication: OnPublication | None = None
        self._on_gap: OnGap | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._channel_prefix = f"{self._prefix}:channel:".encode()

    @property
    def healthy(self) -> bool:
        """Whether every connection this process needs answered a moment ago."""
        links = [self._commands]
        if self._on_publication:
            links.append(self._subscriptions)
        now = clock.monotonic_seconds()
        return all(
            link and not link.closed.is_set() and now - link.last_reply_at < _SILENCE_SECONDS
            for link in links
        )

    async def start(
        self, on_publication: OnPublication | None = None, on_gap: OnGap | None = None
    ) -> None:
        """Begin to connect; returns when connected or when the first deadline is over."""
        self._on_publication, self._on_gap = on_publication, on_gap
        ready = [asyncio.Event()]
        self._tasks = [asyncio.create_task(self._keep("commands", self._serve_commands, ready[0]))]
        if on_publication:
            ready.append(asyncio.Event())
            self._tasks.append(
                asyncio.create_task(
                    self._keep("subscriptions", self._serve_subscriptions, ready[1])
                )
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                for event in ready:
                    await event.wait()

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
        replies = await self._run("publish", [self._publish_arguments(item) for item in requests])
        return [StreamPosition(int(reply[0]), _text(reply[1])) for reply in replies]

    async def subscribe(self, channel: str) -> None:
        """Subscribe this process; returns after Redis confirmed."""
        link = self._subscriptions
        if link is None:
            raise BrokerUnavailableError("no subscription connection to Redis")
        self._channels.add(channel)
        confirmed = self._confirmations.get(channel)
        if confirmed is None:
            confirmed = asyncio.get_running_loop().create_future()
            self._confirmations[channel] = confirmed
        link.send("SUBSCRIBE", self._pubsub_channel(channel))
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await asyncio.shield(confirmed)
        except TimeoutError:
            raise BrokerUnavailableError("Redis did not confirm a subscription in time") from None

    async def unsubscribe(self, channel: str) -> None:
        """Forget the channel now; Redis is told if it is there."""
        self._channels.discard(channel)
        if confirmed := self._confirmations.pop(channel, None):
            confirmed.cancel()
        if self._subscriptions:
            self._subscriptions.send("UNSUBSCRIBE", self._pubsub_channel(channel))

    async def history(
        self, channel: str, *, since: int | None = None, limit: int = -1, reverse: bool = False
    ) -> History:
        """Read the stream; see the port."""
        arguments = [
            2,
            *self._stream_keys(channel),
            "" if since is None else str(since),
            limit,
            int(reverse),
            _META_TTL_SECONDS,
            ids.new_token(6),
        ]
        top, epoch, found = (await self._run("history", [arguments]))[0]
        publications = [
            Publication(found[index + 1], int(found[index])) for index in range(0, len(found), 2)
        ]
        return History(publications, StreamPosition(int(top), _text(epoch)))

    async def remove_history(self, channel: str, *, epoch: str = "") -> None:
        """Forget the stream; see the port."""
        await self._run("remove_history", [[2, *self._stream_keys(channel), epoch]])

    def _stream_keys(self, channel: str) -> tuple[str, str]:
        return (
            f"{self._prefix}:stream:{{{channel}}}",
            f"{self._prefix}:meta:{{{channel}}}",
        )

    def _pubsub_channel(self, channel: str) -> bytes:
        return self._channel_prefix + channel.encode()

    def _publish_arguments(self, request: PublishRequest) -> list[str | bytes | int]:
        key = request.idempotency_key
        stream, meta = self._stream_keys(request.channel)
        return [
            4,
            stream,
            meta,
            f"{self._prefix}:keys:{{{request.channel}}}",
            f"{self._prefix}:result:{{{request.channel}}}:{key}",
            encode_payload(request),
            self._pubsub_channel(request.channel),
            request.history.size,
            request.history.ttl_seconds,
            max(_META_TTL_SECONDS, 2 * request.history.ttl_seconds),
            ids.new_token(6),
            key,
            max(request.idempotency_ttl_seconds, request.history.ttl_seconds) if key else 0,
            max(_KEYS_MIN, 2 * request.history.size),
        ]

    async def _run(
        self, script: str, calls: Sequence[Sequence[str | bytes | int]]
    ) -> list[list[Any]]:
        link = self._commands
        if link is None:
            raise BrokerUnavailableError("no connection to Redis")
        sha = self._shas[script]
        replies = await asyncio.gather(
            *link.call_many([("EVALSHA", sha, *arguments) for arguments in calls]),
            return_exceptions=True,
        )
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        if any(str(error).startswith("NOSCRIPT") for error in failed):
            # Somebody flushed the scripts: a new connection loads them again.
            link.abort()
        if failed:
            raise BrokerUnavailableError(str(failed[0])) from None
        return cast("list[list[Any]]", replies)

    async def _keep(
        self, name: str, serve: Callable[[asyncio.Event], Awaitable[None]], ready: asyncio.Event
    ) -> None:
        failures = 0
        while True:
            started_at = clock.monotonic_seconds()
            try:
                await serve(ready)
            except (BrokerUnavailableError, hiredis.HiredisError) as error:
                metrics.BROKER_FAILURES.labels(connection=name).inc()
                _logger.warning("redis_connection_failed", connection=name, error=str(error))
            except Exception:
                _logger.exception("redis_connection_broke", connection=name)
            lasted = (
                clock.monotonic_seconds() - started_at > LONGEST_SECONDS + self._deadline_seconds
            )
            failures = 1 if lasted else failures + 1
            await asyncio.sleep(pause_seconds(failures))

    async def _serve_commands(self, ready: asyncio.Event) -> None:
        link = await RedisLink.open(self._address, self._deadline_seconds)
        try:
            for name, text in _SCRIPTS.items():
                self._shas[name] = _text(await link.call("SCRIPT", "LOAD", text))
            self._commands = link
            ready.set()
            _logger.info("redis_connected", connection="commands")
            await _watch(link)
        finally:
            self._commands = None
            link.abort()

    async def _serve_subscriptions(self, ready: asyncio.Event) -> None:
        link = await RedisLink.open(self._address, self._deadline_seconds)
        try:
            link.listen(self._receive)
            await self._subscribe_again(link)
            self._subscriptions = link
            if ready.is_set() and self._on_gap:
                self._on_gap()
            ready.set()
            _logger.info(
                "redis_connected", connection="subscriptions", channels=len(self._channels)
            )
            await _watch(link)
        finally:
            self._subscriptions = None
            link.abort()
            confirmations, self._confirmations = self._confirmations, {}
            for confirmed in confirmations.values():
                if not confirmed.done():
                    confirmed.set_exception(BrokerUnavailableError("Redis was lost"))
                    confirmed.exception()

    async def _subscribe_again(self, link: RedisLink) -> None:
        channels = [self._pubsub_channel(channel) for channel in self._channels]
        for start in range(0, len(channels), _SUBSCRIBE_CHUNK):
            link.send("SUBSCRIBE", *channels[start : start + _SUBSCRIBE_CHUNK])
        # Answers keep their order: after this pong all subscriptions stand.
        await link.ping()

    def _receive(self, push: list[Reply]) -> None:
        kind, name = push[0], cast("bytes", push[1])
        channel = name[len(self._channel_prefix) :].decode()
        if kind == b"message":
            if channel not in self._channels or self._on_publication is None:
                return
            offset, epoch, payload = cast("bytes", push[2]).split(b":", 2)
            self._on_publication(channel, Publication(payload, int(offset)), epoch.decode())
        elif kind == b"subscribe":
            confirmed = self._confirmations.get(channel)
            if confirmed and not confirmed.done():
                confirmed.set_result(None)


async def _watch(link: RedisLink) -> None:
    """Return when the connection is gone; end it when it stays silent."""
    while not link.closed.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PING_SECONDS):
                await link.closed.wait()
        if clock.monotonic_seconds() - link.last_reply_at > _SILENCE_SECONDS:
            link.abort()
        elif not link.closed.is_set():
            link.ping().add_done_callback(_ignore)
    raise BrokerUnavailableError("the connection was lost")


def _ignore(answer: "asyncio.Future[Reply]") -> None:
    if not answer.cancelled():
        answer.exception()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
