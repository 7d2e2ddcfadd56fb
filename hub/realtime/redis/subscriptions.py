"""The connection for subscriptions: everything that is published enters a process here.

A message is `offset:epoch:payload` for a publication ("0::" without history), and `j::` or `l::`
with the client's info for joins and leaves.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec

from core import config, log
from core.pause import LONGEST_SECONDS
from hub.realtime import metrics
from hub.realtime.broker import (
    BrokerUnavailableError,
    OnBatchEnd,
    OnGap,
    OnInfo,
    OnPublication,
    Publication,
)
from hub.realtime.redis.commands import RedisCommands, read_run_id
from hub.realtime.redis.entries import decode_info
from hub.realtime.redis.link import OnMessage, RedisLink, keep, parse_address, watch

JOIN: Final = b"j"
LEAVE: Final = b"l"
_CHUNK: Final = 500

_logger = log.get("realtime.redis")


class Subscribed:
    """One channel of this process, and the last that was received of it."""

    __slots__ = ("awaited", "channel", "confirmed", "epoch", "epoch_text", "offset")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.offset = 0
        self.epoch = b""
        self.epoch_text = ""
        self.awaited = 0
        """Subscriptions that Redis has not confirmed yet."""
        self.confirmed: asyncio.Future[None] | None = None


class Receiver(msgspec.Struct, frozen=True):
    """Whom a process gives what its subscriptions bring."""

    on_publication: OnPublication
    on_gap: OnGap | None = None
    on_join: OnInfo | None = None
    on_leave: OnInfo | None = None
    on_batch_end: OnBatchEnd | None = None


class RedisSubscriptions:
    """Subscribes while Redis is there, and all again when it is back."""

    def __init__(
        self,
        settings: config.Redis,
        commands: RedisCommands,
        *,
        prefix: bytes,
        on_departed: Callable[[Subscribed], None],
    ) -> None:
        self._address = parse_address(config.require(settings.url, "redis.url"))
        self._deadline_seconds = settings.call_deadline_seconds
        self._commands = commands
        self._prefix = prefix
        self._on_departed = on_departed
        self._link: RedisLink | None = None
        self._channels: dict[bytes, Subscribed] = {}
        # Redis answers each SUBSCRIBE; those of an earlier subscription prove nothing.
        self._awaited: dict[bytes, int] = {}

    @property
    def healthy(self) -> bool:
        """Whether Redis answered a moment ago."""
        return self._link is not None and self._link.answers

    @property
    def channels(self) -> Iterable[Subscribed]:
        """What this process is subscribed to."""
        return self._channels.values()

    async def keep(self, ready: asyncio.Event, receiver: Receiver) -> None:
        """Connect, again and again; for ever."""
        serve = partial(self._serve, receiver)
        await keep("subscriptions", serve, ready, self._deadline_seconds)

    async def subscribe(self, channel: str) -> None:
        """Subscribe this process; returns after Redis confirmed."""
        link = self._link
        if link is None:
            raise BrokerUnavailableError("no subscription connection to Redis")
        name = self._prefix + channel.encode()
        entry = self._channels.get(name)
        if entry is None:
            entry = self._channels[name] = Subscribed(channel)
        if entry.confirmed is None:
            entry.confirmed = asyncio.get_running_loop().create_future()
            self._awaited[name] = self._awaited.get(name, 0) + 1
            link.send("SUBSCRIBE", name)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await asyncio.shield(entry.confirmed)
        except TimeoutError:
            raise BrokerUnavailableError("Redis did not confirm a subscription in time") from None

    def unsubscribe(self, channel: str) -> None:
        """Forget the channel now; Redis is told if it is there."""
        name = self._prefix + channel.encode()
        entry = self._channels.pop(name, None)
        if entry is None:
            return
        if entry.confirmed:
            entry.confirmed.cancel()
        self._on_departed(entry)
        if self._link:
            self._link.send("UNSUBSCRIBE", name)

    async def _serve(self, receiver: Receiver, ready: asyncio.Event) -> None:
        link = await RedisLink.open(self._address, self._deadline_seconds)
        try:
            await self._wait_for_witness(await read_run_id(link))
            link.listen(self._reader(receiver), self._confirm, receiver.on_batch_end)
            names = await self._subscribe_again(link)
            self._link = link
            for name in names:
                if name not in self._channels:  # given up while this connection was being made
                    link.send("UNSUBSCRIBE", name)
            if ready.is_set() and receiver.on_gap:
                receiver.on_gap()
            ready.set()
            _logger.info(
                "redis_connected", connection="subscriptions", channels=len(self._channels)
            )
            await watch(link, metrics.PUB_SUB_LAG_SECONDS.observe)
        finally:
            self._link = None
            link.abort()
            self._awaited.clear()
            for entry in self._channels.values():
                if entry.confirmed and not entry.confirmed.done():
                    entry.confirmed.set_exception(BrokerUnavailableError("Redis was lost"))
                    entry.confirmed.exception()
                entry.confirmed = None

    async def _wait_for_witness(self, run_id: str) -> None:
        """Return when what this Redis may have lost is found out: nothing may come in before."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS + self._deadline_seconds):
                await self._commands.connected.wait()
        except TimeoutError:
            raise BrokerUnavailableError("there is no connection for commands") from None
        if run_id != self._commands.run_id:
            raise BrokerUnavailableError("the connection for commands is to another Redis")

    async def _subscribe_again(self, link: RedisLink) -> list[bytes]:
        await link.ping()
        names = list(self._channels)
        for start in range(0, len(names), _CHUNK):
            link.send("SUBSCRIBE", *names[start : start + _CHUNK])
            # Answers keep their order: after this pong the subscriptions stand.
            await link.ping()
        return names

    def _reader(self, receiver: Receiver) -> OnMessage:
        """Return what takes a message apart; every publication pays for it in every process."""
        channels, on_publication = self._channels, receiver.on_publication

        def read(name: bytes, message: bytes) -> None:
            entry = channels.get(name)
            if entry is None:
                return
            try:
                number, epoch, payload = message.split(b":", 2)
                if number.isdigit():
                    if epoch != entry.epoch:
                        entry.epoch, entry.epoch_text = epoch, epoch.decode()
                    entry.offset = offset = int(number)
                    on_publication(entry.channel, Publication(payload, offset), entry.epoch_text)
                elif told := {JOIN: receiver.on_join, LEAVE: receiver.on_leave}[number]:
                    told(entry.channel, decode_info(payload))
            except Exception:
                # Whoever wrote it: the messages behind it go on.
                metrics.PUB_SUB_DROPPED.inc()
                _logger.exception("redis_message_dropped", size_bytes=len(message))

        return read

    def _confirm(self, name: bytes) -> None:
        awaited = self._awaited.get(name, 0)
        if awaited > 1:
            self._awaited[name] = awaited - 1
            return
        self._awaited.pop(name, None)
        entry = self._channels.get(name)
        if entry and entry.confirmed and not entry.confirmed.done():
            entry.confirmed.set_result(None)
