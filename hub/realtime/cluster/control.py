"""How the hub's processes work as one: orders to all, questions to some, and who is there.

It speaks through a broker of its own, whose channels no client can name. Orders are a stream with
history, so that a process that lost its Redis for a while still obeys those it missed; questions,
answers and news of the processes are plain publications.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Final, Protocol

import msgspec

from core import clock, config, log
from hub.realtime.broker import Broker, BrokerUnavailableError, Publication, PublishRequest
from hub.realtime.cluster import orders as control_orders
from hub.realtime.cluster.messages import Answer, AnyOrder, NodeInfo, Question
from hub.realtime.cluster.orders import OrderStream

HEARTBEAT_SECONDS: Final = 3.0
_SILENCE_SECONDS: Final = 3 * HEARTBEAT_SECONDS + 1
_RETRY_SECONDS: Final = 0.2
_EVERYBODY: Final = "nodes"

_logger = log.get("realtime.control")


class ControlHandler(Protocol):
    """What a hub does for the others."""

    def on_order(self, order: AnyOrder) -> None:
        """Obey on the connections of this process; must not block."""
        ...

    def on_orders_lost(self) -> None:
        """Orders were missed for good: every connection has to be judged anew."""
        ...

    async def on_question(self, question: Question) -> Answer:
        """Answer for this process."""
        ...

    def describe(self) -> NodeInfo:
        """Describe this process."""
        ...


class Survey(msgspec.Struct, frozen=True):
    """Answers by the id of their process, and who did not answer in time."""

    answers: Mapping[str, Answer]
    missing: tuple[str, ...]


class _Asked(msgspec.Struct, frozen=True, tag="asked"):
    number: int
    question: Question


class _Answered(msgspec.Struct, frozen=True, tag="answered"):
    number: int
    answer: Answer


class _Farewell(msgspec.Struct, frozen=True, tag="farewell"):
    """The sender is about to stop."""


class _Envelope(msgspec.Struct, frozen=True):
    sender: str
    body: AnyOrder | NodeInfo | _Asked | _Answered | _Farewell


class _Payload(msgspec.Struct, frozen=True):
    data: _Envelope


class _Pending(msgspec.Struct):
    """A survey under way: whom it waits for, and what it has."""

    waiting: set[str]
    answers: dict[str, Answer]
    complete: asyncio.Event

    def leave_out(self, nodes: set[str]) -> None:
        """Wait no longer for these."""
        self.waiting -= nodes
        if not self.waiting:
            self.complete.set()


class _Peer(msgspec.Struct):
    info: NodeInfo
    heard_at: float


_decode = msgspec.json.Decoder(_Payload).decode


class Control:
    """One process' part in the whole. With a broker in memory it is the whole."""

    def __init__(self, broker: Broker, node_id: str) -> None:
        self.node_id = node_id
        self._broker = broker
        self._handler: ControlHandler | None = None
        self._orders = OrderStream(broker, self._receive, self._lose_orders)
        self._peers: dict[str, _Peer] = {}
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def healthy(self) -> bool:
        """Whether the others can be reached."""
        return self._broker.healthy

    @property
    def nodes(self) -> list[NodeInfo]:
        """The processes that are there, this one first."""
        own = [self._handler.describe()] if self._handler else []
        return own + [peer.info for peer in self._peers.values()]

    async def start(self, handler: ControlHandler) -> None:
        """Take part from now on; works also while the broker is away."""
        self._handler = handler
        await self._broker.start(self._on_publication, self._on_gap)
        try:
            await self._enter()
        except BrokerUnavailableError:
            self._spawn(self._enter_late())
        else:
            self._spawn(self._orders.follow())
            self._spawn(self._tell_news())

    async def close(self) -> None:
        """Say farewell and stop."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker.healthy:
            await self._try_to_tell(_EVERYBODY, _Farewell())
        await self._broker.close()

    async def send(self, order: AnyOrder, *, key: str = "") -> None:
        """Give an order to every process, this one included; with a key it may be repeated.

        Raises BrokerUnavailableError when the others may not have it; here it is obeyed anyhow.
        """
        if self._handler:
            self._handler.on_order(order)
        await self._broker.publish(order_request(order, sender=self.node_id, key=key))

    async def survey(
        self, question: Question, timeout_seconds: float, *, node_id: str = ""
    ) -> Survey:
        """Ask every process, or only `node_id`; whoever is silent too long is named."""
        if node_id not in ("", self.node_id) and node_id not in self._peers:
            return Survey({}, (node_id,))
        self._number += 1
        number = self._number
        asked = {node_id} if node_id else {self.node_id, *self._peers}
        pending = _Pending(set(asked), {}, asyncio.Event())
        self._pending[number] = pending
        unreachable: set[str] = set()
        try:
            if self.node_id in asked:
                self._spawn(self._answer(self.node_id, _Asked(number, question)))
            others = asked - {self.node_id}
            target = f"node:{node_id}" if node_id else _EVERYBODY
            async with asyncio.timeout(timeout_seconds):
                if others and not await self._try_to_tell(target, _Asked(number, question)):
                    unreachable = others
                    pending.leave_out(others)
                await pending.complete.wait()
        except TimeoutError:
            pass
        finally:
            del self._pending[number]
        missing = tuple(sorted(pending.waiting | unreachable))
        if missing:
            _logger.warning("control_survey_incomplete", missing=missing)
        return Survey(pending.answers, missing)

    async def _enter(self) -> None:
        for channel in (control_orders.CHANNEL, _EVERYBODY, f"node:{self.node_id}"):
            await self._broker.subscribe(channel)
        await self._orders.begin()

    async def _enter_late(self) -> None:
        while True:
            try:
                await self._enter()
            except BrokerUnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        # Connections may have been accepted before this process could hear what concerns them.
        self._lose_orders()
        self._spawn(self._orders.follow())
        self._spawn(self._tell_news())

    async def _tell_news(self) -> None:
        while True:
            if self._handler and await self._try_to_tell(_EVERYBODY, self._handler.describe()):
                self._forget_the_silent()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _forget_the_silent(self) -> None:
        # Telling and hearing are two connections: who cannot hear may not judge.
        if not self._broker.healthy:
            return
        now = clock.monotonic_seconds()
        for node_id, peer in list(self._peers.items()):
            if now - peer.heard_at > _SILENCE_SECONDS:
                del self._peers[node_id]

    def _on_gap(self) -> None:
        self._orders.doubt()
        # Nobody could be heard meanwhile: silence proves nothing.
        for peer in self._peers.values():
            peer.heard_at = clock.monotonic_seconds()

    def _on_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        if channel == control_orders.CHANNEL:
            self._orders.on_publication(publication, epoch)
        else:
            self._receive(publication)

    def _receive(self, publication: Publication) -> None:
        """Handle one message of another process; what cannot be read is newer than this one."""
        handler = self._handler
        try:
            envelope = _decode(publication.payload).data
        except msgspec.MsgspecError:
            _logger.warning("control_message_unreadable")
            return
        sender, body = envelope.sender, envelope.body
        if handler is None or sender == self.node_id:
            return
        match body:
            case NodeInfo():
                self._hear(sender, body)
            case _Asked():
                self._spawn(self._answer(sender, body))
            case _Answered(number, answer):
                self._take_answer(number, sender, answer)
            case _Farewell():
                self._peers.pop(sender, None)
            case _:
                try:
                    handler.on_order(body)
                except Exception:
                    _logger.exception("control_order_failed", order=type(body).__name__)

    def _hear(self, sender: str, info: NodeInfo) -> None:
        is_new = sender not in self._peers
        self._peers[sender] = _Peer(info, clock.monotonic_seconds())
        if is_new and self._handler:
            self._spawn(self._greet(sender, self._handler.describe()))

    async def _greet(self, node_id: str, info: NodeInfo) -> None:
        await self._try_to_tell(f"node:{node_id}", info)

    async def _answer(self, sender: str, asked: _Asked) -> None:
        if self._handler is None:
            return
        try:
            answer = await self._handler.on_question(asked.question)
        except Exception:
            _logger.exception("control_question_failed", question=type(asked.question).__name__)
            return
        if sender == self.node_id:
            self._take_answer(asked.number, sender, answer)
        else:
            await self._try_to_tell(f"node:{sender}", _Answered(asked.number, answer))

    def _take_answer(self, number: int, sender: str, answer: Answer) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return
        pending.answers[sender] = answer
        pending.leave_out({sender})

    def _lose_orders(self) -> None:
        if self._handler:
            self._handler.on_orders_lost()

    async def _try_to_tell(
        self, channel: str, body: NodeInfo | _Asked | _Answered | _Farewell
    ) -> bool:
        data = msgspec.json.encode(_Envelope(self.node_id, body))
        try:
            await self._broker.publish(PublishRequest(channel=channel, data=data))
        except BrokerUnavailableError:
            return False
        return True

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def control_redis(settings: config.Redis) -> config.Redis:
    """Return what the control's own broker is made with: the same Redis, keys of its own."""
    return msgspec.structs.replace(settings, key_prefix=f"{settings.key_prefix}:control")


def order_request(order: AnyOrder, *, sender: str = "", key: str = "") -> PublishRequest:
    """Return an order as a publication; a relay sends it through the control broker's stream."""
    return PublishRequest(
        channel=control_orders.CHANNEL,
        data=msgspec.json.encode(_Envelope(sender, order)),
        history=control_orders.KEPT,
        idempotency_key=key,
    )
