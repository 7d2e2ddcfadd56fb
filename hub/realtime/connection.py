"""One connection of a client: carries out the session's effects; what it says goes to its outlet.

A carrier feeds frames (`receive`, or `feed` where it cannot await) and tells when the socket is
gone (`lost`). Between frames a connection owns no task, event or queue: most of them are idle.
"""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Final

from core import clock, log
from core.turns import spread
from hub.realtime import answering, codes, metrics
from hub.realtime.delivery.outlet import Direct, Outlet
from hub.realtime.figures import TRAFFIC
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.sessions import admission
from hub.realtime.sessions.commands import orders, subscribe
from hub.realtime.sessions.effects import Awaited, Call, Close, Effect, Leave, Ping, Refused, Write
from hub.realtime.sessions.session import Session

if TYPE_CHECKING:
    from hub.realtime.hub import Hub

_BACKLOG_COMMANDS: Final = 64
_BACKLOG_BYTES: Final = 262_144
_TURN_COMMANDS: Final = 16

_logger = log.get("realtime.connection")


class Connection:
    """Binds a session to hub and outlet."""

    __slots__ = (
        "_calls",
        "_next",
        "_outlet",
        "_ready",
        "_task",
        "_unworked_bytes",
        "closing",
        "connected_at_ms",
        "direct",
        "framing",
        "headers",
        "hub",
        "scheduled_at",
        "session",
        "transport",
    )

    def __init__(  # what differs between connections
        self,
        hub: "Hub",
        session: Session,
        framing: Framing,
        outlet: Outlet,
        *,
        transport: str,
        headers: Mapping[str, str] | None,
    ) -> None:
        self.hub = hub
        self.session = session
        self.framing = framing
        self.direct: Direct | None = outlet.direct
        self.transport = transport
        self.headers = headers
        """The transport's, as far as the application may see them; let go of after connect."""
        self.closing: codes.Disconnect | None = None
        self.connected_at_ms = clock.unix_ms()
        self.scheduled_at = session.deadline
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None
        self._next: Awaited | None = None
        self._calls: set[asyncio.Task[None]] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._unworked_bytes = 0
        """Frames that came while commands wait."""

    @property
    def deadline(self) -> float:
        """When the session wants to be called next."""
        return self.session.deadline

    @property
    def waiting_bytes(self) -> int:
        """How much the client has yet to take."""
        return self._outlet.waiting_bytes

    async def receive(self, frame: str | bytes) -> None:
        """Take a frame; returns when the session is ready for another."""
        if not self.feed(frame):
            # Emulated frames may come side by side: all wait for the same moment.
            self._ready = self._ready or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._ready)

    def feed(self, frame: str | bytes) -> bool:
        """Take a frame; False asks to send no more before the outlet's `resume_reading`."""
        traffic = TRAFFIC[self.transport]
        traffic.messages_received += 1
        traffic.bytes_received += len(frame)
        if len(frame) > self.hub.settings.max_message_bytes:
            self.close(codes.MESSAGE_TOO_BIG)
            return True
        self.carry_out(self.session.receive(frame, clock.monotonic_seconds()))
        self._unworked_bytes = self._unworked_bytes + len(frame) if self.session.backlog else 0
        if self._unworked_bytes > self.hub.settings.buffer_max_bytes:
            # Only emulated frames come without waiting for each other.
            self.close(codes.CLOSE_TOO_MANY_REQUESTS)
        return not self._is_busy

    def on_time(self, now: float) -> None:
        """Let the session do what is due."""
        self.carry_out(self.session.on_time(now))

    def ponged(self) -> None:
        """The transport's ping was answered."""
        self.session.ponged(clock.monotonic_seconds())

    def write(self, message: bytes) -> None:
        """Send one encoded message after all that was sent before."""
        if self.closing is None:
            self._outlet.write(message)

    def overflow(self) -> None:
        """The client does not read what it is sent: its outlet gave it up."""
        # Later, because a fan-out may be walking through the subscribers right now.
        asyncio.get_running_loop().call_soon(self.close, codes.CLOSE_SLOW)

    def lose_state(self, channel: str) -> None:
        """Publications of a channel were missed."""
        self.carry_out(subscribe.lost_state(self.session, channel))

    def obey(self, order: orders.Order) -> None:
        """Take an order of the server."""
        self.carry_out(self.session.obey(order))

    def close(self, disconnect: codes.Disconnect) -> None:
        """End the connection from the server's side."""
        self.carry_out(self.session.close(disconnect))

    def lost(self) -> None:
        """The socket is gone: let go of everything."""
        # Thousands may go at once: what is published meanwhile goes between them.
        spread(self._let_go)

    def _let_go(self) -> None:
        self.session.connection_lost()
        self._cancel_tasks()
        self.hub.forget(self)
        self.hub.gone(self)
        self._go_on()

    def info(self, channel: str) -> ClientInfo:
        """Return what others learn about this client in a channel."""
        return admission.info(self.session, channel)

    def present_in(self) -> list[tuple[str, ClientInfo]]:
        """Return the channels where the client is to be seen, with what is to be seen of it."""
        return [
            (channel, self.info(channel))
            for channel, item in self.session.subscriptions.items()
            if item.settled and item.terms.presence
        ]

    def carry_out(self, effects: list[Effect]) -> None:
        """Do what the session wants, in order."""
        was_busy = self._is_busy
        messages: list[bytes] = []
        for effect in effects:
            match effect:
                case Write(message):
                    # What a session says in one go shares frames.
                    messages.append(message)
                case Close(disconnect):
                    self._write_all(messages)
                    self._close(disconnect)
                case Ping():
                    self._outlet.ping()
                case Leave(channel, subscription):
                    self.hub.leave(self, channel, subscription)
                case Refused():
                    self.hub.note_refusal(self, effect)
                case Call():
                    self._call(effect)
                case _:
                    self._await(effect)
        self._write_all(messages)
        if self.closing is None:
            self.hub.timers.update(self)
        if not self._is_busy and (was_busy or self._ready):
            self._go_on()
            self._outlet.resume_reading()

    @property
    def _is_busy(self) -> bool:
        backlog = self.session.backlog
        return self.closing is None and (
            backlog > _BACKLOG_COMMANDS or (backlog > 0 and self._unworked_bytes > _BACKLOG_BYTES)
        )

    def _go_on(self) -> None:
        if self._ready and not self._ready.done():
            self._ready.set_result(None)
        self._ready = None

    def _write_all(self, messages: list[bytes]) -> None:
        if messages and self.closing is None:
            self._outlet.write(*messages)
        messages.clear()

    def _await(self, effect: Awaited) -> None:
        # At most one at a time: the session waits for the answer.
        if self._task is None:
            self._task = asyncio.create_task(self._answer(effect))
        else:
            # This is what follows from an answer: the same task goes on.
            self._next = effect

    async def _answer(self, effect: Awaited) -> None:
        for number in count(1):
            effects = await answering.answer(self, effect)
            # Nothing is awaited from the answer to its place in the outlet.
            self.carry_out(effects)
            if self._next is None:
                break
            effect, self._next = self._next, None
            if number % _TURN_COMMANDS == 0:
                # Answers may come without waiting: others have a turn too.
                await asyncio.sleep(0)
        self._task = None

    def _call(self, effect: Call) -> None:
        if self._calls is None:
            self._calls = set()
        task = asyncio.create_task(self._answer_call(effect))
        self._calls.add(task)

    async def _answer_call(self, effect: Call) -> None:
        effects = await answering.call(self, effect)
        if self._calls:
            self._calls.discard(asyncio.current_task())
            self._calls = self._calls or None
        self.carry_out(effects)

    def _close(self, disconnect: codes.Disconnect) -> None:
        self.closing = disconnect
        self._cancel_tasks()
        self.hub.note_close(self, disconnect)
        self.hub.forget(self)
        _logger.info(
            "connection_closed_by_server",
            code=disconnect.code,
            transport=self.transport,
            client=self.session.client_id,
        )
        code = metrics.close_label(disconnect.code)
        metrics.OUTGOING_CLOSES.labels(transport=self.transport, code=code).inc()
        self._outlet.close(disconnect)

    def _cancel_tasks(self) -> None:
        current = asyncio.current_task()
        for task in (self._task, *(self._calls or ())):
            if task and task is not current:
                task.cancel()
        self._calls = None
