"""Subscribing without a race between history and live.

The order is: keep live publications for the subscriber, subscribe at the broker, make the client
visible in presence, read history, merge by offset, answer, go live. From the merge to the reply
nothing is awaited.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from core import log
from hub.realtime import codes, metrics
from hub.realtime.broker import (
    Broker,
    BrokerUnavailableError,
    History,
    Publication,
    StreamPosition,
    latest,
)
from hub.realtime.delivery import deltas, recovery
from hub.realtime.delivery.continuity import Continuity
from hub.realtime.delivery.membership import Membership
from hub.realtime.delivery.registry import Channel, Encoding, Joining, Registry, Subscriber
from hub.realtime.protocol import payload
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.messages import ClientInfo, SubscribeResult
from hub.realtime.sessions.effects import Joined, JoinRequest

_ATTEMPTS: Final = 5
# One reply holds all that a command recovers, whether or not its client reads it.
_RECOVERED_MAX_BYTES: Final = 4 * 1_048_576
_T = TypeVar("_T")

_logger = log.get("realtime.joining")


class JoinRefusedError(Exception):
    """A subscription cannot be made; none of the request is."""

    def __init__(self, error: codes.Error) -> None:
        super().__init__(error.message)
        self.error = error


class Joinable(Subscriber, Protocol):
    """A subscriber that others may see in a channel."""

    def info(self, channel: str) -> ClientInfo:
        """Return what others learn about it."""
        ...


class Joiner:
    """Makes subscriptions in the registry and at the broker."""

    def __init__(
        self,
        registry: Registry,
        broker: Broker,
        continuity: Continuity,
        membership: Membership,
        limit: int,
    ) -> None:
        self._registry = registry
        self._broker = broker
        self._continuity = continuity
        self._membership = membership
        self._limit = limit
        self._background: set[asyncio.Task[None]] = set()

    async def join(self, subscriber: Joinable, requests: list[JoinRequest]) -> dict[str, Joined]:
        """Subscribe to all channels or to none."""
        channels = {
            request.channel: self._registry.enter(request.channel, request.namespace, subscriber)
            for request in requests
        }
        try:
            await _each([self._open(channel) for channel in channels.values()])
            await _each(
                [
                    self._membership.enter(item.channel, subscriber.info(item.channel))
                    for item in requests
                    if item.terms.presence
                ]
            )
            merged = recovery.within(
                await self._read_and_merge(subscriber, requests, channels), _RECOVERED_MAX_BYTES
            )
            return {
                request.channel: self._settle(
                    subscriber, request, channels[request.channel], merged[request.channel]
                )
                for request in requests
            }
        except BaseException:
            for name in channels:
                self.leave(name, subscriber)
            raise

    def leave(self, name: str, subscriber: Subscriber) -> None:
        """End a subscription; the last one here ends the broker's."""
        if self._registry.leave(name, subscriber):
            task = asyncio.create_task(self._broker.unsubscribe(name))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _open(self, channel: Channel) -> None:
        if channel.is_open:
            return
        opening = channel.opening
        if opening is None:
            opening = channel.opening = asyncio.create_task(self._subscribe(channel))
            opening.add_done_callback(_failed)
        # Shielded: one client's departure must not end what others wait for.
        await asyncio.shield(opening)

    async def _subscribe(self, channel: Channel) -> None:
        try:
            await self._broker.subscribe(channel.name)
            channel.is_open = True
        finally:
            channel.opening = None

    async def _read_and_merge(
        self, subscriber: Subscriber, requests: list[JoinRequest], channels: dict[str, Channel]
    ) -> dict[str, recovery.Merged | None]:
        histories: dict[str, History] = {}
        for _ in range(_ATTEMPTS):
            unread = [item for item in requests if item.channel not in histories]
            found = await _each([self._read(item) for item in unread])
            histories.update(zip((item.channel for item in unread), found, strict=True))
            merged: dict[str, recovery.Merged | None] = {}
            for request in requests:
                channel = channels[request.channel]
                joining = channel.joining[subscriber]
                if request.namespace.has_history:
                    merged[request.channel] = _merge(
                        channel, joining, request, histories[request.channel], self._limit
                    )
                    if merged[request.channel] is None:
                        del histories[request.channel]
                else:
                    merged[request.channel] = None
            again = [item for item in requests if item.channel not in histories]
            if not again:
                return merged
            for request in again:
                # What was read and what arrived do not fit: compare this process with the stream.
                channel = channels[request.channel]
                channel.joining[subscriber] = Joining()
                await self._continuity.resync(channel)
        raise BrokerUnavailableError("history and live publications do not fit together")

    async def _read(self, request: JoinRequest) -> History:
        namespace, since = request.namespace, request.since
        meta_ttl_seconds = namespace.history_meta_ttl_seconds
        if not namespace.has_history:
            return recovery.NOTHING
        if since is not None and request.as_cache:
            return await latest(self._broker, request.channel, meta_ttl_seconds=meta_ttl_seconds)
        return await self._broker.history(
            request.channel,
            since=since.offset if since else None,
            limit=self._limit + 1 if since else 0,
            meta_ttl_seconds=meta_ttl_seconds,
        )

    def _settle(
        self,
        subscriber: Subscriber,
        request: JoinRequest,
        channel: Channel,
        merged: recovery.Merged | None,
    ) -> Joined:
        framing, terms = subscriber.framing, request.terms
        result = SubscribeResult(delta=terms.delta, was_recovering=request.recovering)
        offset = 0
        late = channel.joining[subscriber].buffered
        if merged is not None:
            offset, late = merged.position.offset, merged.late
            if terms.positioned:
                result.positioned = True
                result.recoverable = terms.recoverable
                result.epoch = merged.top.epoch
                result.offset = merged.top.offset
            if request.since is not None:
                late = self._recover(framing, request, request.since, merged, result)
            if channel.position is None:
                channel.position = merged.position
        pushes = _pushes(channel, framing, request, late)
        self._registry.settle(
            channel,
            subscriber,
            offset,
            encoding=Encoding(framing, delta=terms.delta),
            tags_filter=terms.tags_filter,
        )
        return Joined(result, pushes)

    def _recover(
        self,
        framing: Framing,
        request: JoinRequest,
        since: StreamPosition,
        merged: recovery.Merged,
        result: SubscribeResult,
    ) -> list[Publication]:
        """Put what was missed into the result; return what has to follow as pushes."""
        metrics.RECOVERIES.labels(recovered="yes" if merged.recovered else "no").inc()
        if not merged.recovered:
            if request.reject_unrecovered:
                raise JoinRefusedError(codes.UNRECOVERABLE_POSITION)
            return merged.late
        result.recovered = True
        result.offset = since.offset
        wanted = _wanted(request, merged.publications)
        metrics.RECOVERED_PUBLICATIONS.observe(len(wanted))
        if request.recovered_as_pushes:
            return wanted + merged.late
        if request.terms.delta:
            result.publications = deltas.recovered(framing, wanted)
        else:
            result.publications = [framing.publication(item) for item in wanted]
        return merged.late


def _merge(
    channel: Channel, joining: Joining, request: JoinRequest, history: History, limit: int
) -> recovery.Merged | None:
    position = channel.position
    if joining.broken or (position and position.epoch != history.top.epoch):
        return None
    merged = recovery.merge(
        request.since, history, joining.buffered, limit, as_cache=request.as_cache
    )
    if merged and position and merged.position.offset < position.offset:
        return None
    return merged


def _wanted(request: JoinRequest, publications: list[Publication]) -> list[Publication]:
    wants = request.terms.tags_filter
    if wants is None:
        return publications
    return [item for item in publications if wants(payload.decode(item.payload).tags)]


def _pushes(
    channel: Channel, framing: Framing, request: JoinRequest, publications: list[Publication]
) -> list[bytes]:
    prefix = framing.push_prefix(channel.name)
    return [
        framing.publication_push(
            prefix, item, data=deltas.change(None, item).whole if request.terms.delta else None
        )
        for item in _wanted(request, publications)
    ]


async def _each(calls: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await calls side by side; one alone needs no task."""
    return [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)


def _failed(task: asyncio.Task[None]) -> bool:
    """Say whether a task failed, and so mark its exception as seen."""
    return task.cancelled() or task.exception() is not None
