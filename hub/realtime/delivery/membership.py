"""Who is in a channel, told to the others: presence entries, joins and leaves.

An entry is made before a subscription stands and taken away after its end; in between it is renewed
in batches, well before it would vanish. What concerns one client in one channel happens in order,
so that a leave never overtakes the join.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

from core import log
from hub.realtime.broker import Broker, BrokerUnavailableError
from hub.realtime.presence import Presence
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.messages import ClientInfo, JoinPush, LeavePush, Push, PushReply
from hub.realtime.sessions.subscriptions import Subscription, Terms

RENEW_SECONDS: Final = 25.0
_BATCH: Final = 512
_FAREWELL_SECONDS: Final = 1.0

_logger = log.get("realtime.membership")


class Hearer(Protocol):
    """A subscriber who is told of joins and leaves."""

    @property
    def framing(self) -> Framing:
        """The format that the client speaks."""
        ...

    def write(self, message: bytes) -> None:
        """Queue one encoded message."""
        ...


class Member(Protocol):
    """A connection, as far as it is present in channels."""

    def present_in(self) -> list[tuple[str, ClientInfo]]:
        """Return the channels where the client is to be seen, with what is to be seen of it."""
        ...


class Membership:
    """Keeps presence true for the connections of this process."""

    def __init__(
        self,
        broker: Broker,
        presence: Presence,
        members: Collection[Member],
        flush: Callable[[], None],
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._broker = broker
        self._presence = presence
        self._members = members
        self._flush = flush
        self._renew_seconds = renew_seconds
        self._hearers: dict[str, dict[Hearer, None]] = {}
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop renewing and let the last leaves out, for a moment at most."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._latest:
            await asyncio.wait(list(self._latest.values()), timeout=_FAREWELL_SECONDS)
        for task in self._latest.values():
            task.cancel()

    async def enter(self, channel: str, info: ClientInfo) -> None:
        """Make a client visible, before its subscription reads history."""
        await self._presence.add(channel, info)

    def settled(self, hearer: Hearer, channel: str, terms: Terms, info: ClientInfo) -> None:
        """A subscription stands: tell the others, and let it hear of them."""
        if terms.hears_members:
            self._hearers.setdefault(channel, {})[hearer] = None
        if terms.announced:
            self._then(channel, info, lambda: self._broker.publish_join(channel, info))

    def leave(
        self, hearer: Hearer, channel: str, subscription: Subscription, info: ClientInfo
    ) -> None:
        """A subscription ended, or was given up half made."""
        hearers = self._hearers.get(channel)
        if hearers:
            hearers.pop(hearer, None)
            if not hearers:
                del self._hearers[channel]
        if subscription.terms.presence:
            self._then(
                channel,
                info,
                lambda: self._presence.remove(channel, info.client, info.user),
            )
        if subscription.terms.announced and subscription.settled:
            self._then(channel, info, lambda: self._broker.publish_leave(channel, info))

    def on_join(self, channel: str, info: ClientInfo) -> None:
        """Tell subscribers that a client joined."""
        self._tell(Push(channel=channel, join=JoinPush(info=info)))

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        """Tell subscribers that a client left."""
        self._tell(Push(channel=channel, leave=LeavePush(info=info)))

    def _tell(self, push: Push) -> None:
        hearers = self._hearers.get(push.channel)
        if not hearers:
            return
        # Publications of the same read come first, as they were published.
        self._flush()
        encoded: dict[str, bytes] = {}
        for hearer in list(hearers):
            framing = hearer.framing
            if framing.name not in encoded:
                encoded[framing.name] = framing.encode_reply(PushReply(push=push))
            hearer.write(encoded[framing.name])

    def _then(self, channel: str, info: ClientInfo, act: Callable[[], Awaitable[None]]) -> None:
        key = (channel, info.client)
        self._latest[key] = asyncio.create_task(self._act(key, self._latest.get(key), act))

    async def _act(
        self,
        key: tuple[str, str],
        before: asyncio.Task[None] | None,
        act: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            if before:
                await asyncio.wait((before,))
            await act()
        except BrokerUnavailableError:
            # Joins and leaves are news, not state; an entry that stays vanishes by itself.
            _logger.info("membership_not_told")
        finally:
            if self._latest.get(key) is asyncio.current_task():
                del self._latest[key]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._renew_seconds)
            await self._renew()

    async def _renew(self) -> None:
        batch: list[tuple[Member, str, ClientInfo]] = []
        for member in list(self._members):
            batch += [(member, *entry) for entry in member.present_in()]
            if len(batch) >= _BATCH:
                await self._renew_batch(batch)
                batch = []
        await self._renew_batch(batch)

    async def _renew_batch(self, batch: list[tuple[Member, str, ClientInfo]]) -> None:
        if not batch:
            return
        try:
            await self._presence.renew([(channel, info) for _, channel, info in batch])
        except BrokerUnavailableError:
            _logger.warning("presence_not_renewed", entries=len(batch))
            return
        for member, channel, info in batch:
            # Who left meanwhile may have been entered again by this.
            if all(channel != still for still, _ in member.present_in()):
                self._then(
                    channel,
                    info,
                    lambda channel=channel, info=info: self._presence.remove(
                        channel, info.client, info.user
                    ),
                )
