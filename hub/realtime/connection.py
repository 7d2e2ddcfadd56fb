"""One connection of a client: carries out the session's effects; what it says goes to its outlet.

A carrier feeds frames (`receive`, or `feed` where it cannot await) and tells when the socket is
gone (`lost`). Between frames a connection owns no task, event or queue: most of them are idle.
"""

import asyncio
from typing import TYPE_CHECKING, Final, assert_never

from core import clock, log
from hub.realtime import codes, metrics
from hub.realtime.broker import (
    BrokerUnavailableError,
    HistoryOptions,
    PublishRequest,
)
from hub.realtime.claims import TokenExpiredError, TokenInvalidError
from hub.realtime.effects import (
    Authenticate,
    Close,
    Effect,
    Join,
    Leave,
    PublishData,
    ReadHistory,
    Write,
)
from hub.realtime.joining import JoinRefusedError
from hub.realtime.outlet import Direct, Outlet
from hub.realtime.protocol import payload
from hub.realtime.protocol.framing import BinaryDataError, Framing
from hub.realtime.session import Session

if TYPE_CHECKING:
    from hub.realtime.hub import Hub

_BACKLOG_COMMANDS: Final = 64

_logger = log.get("realtime.connection")


class Connection:
    """Binds a session to hub and outlet."""

    __slots__ = (
        "_hub",
        "_outlet",
        "_ready",
        "_task",
        "closing",
        "direct",
        "framing",
        "scheduled_at",
        "session",
    )

    def __init__(self, hub: "Hub", session: Session, framing: Framing, outlet: Outlet) -> None:
        self.session = session
        self.framing = framing
        self.direct: Direct | None = outlet.direct
        self.closing: codes.Disconnect | None = None
        self.scheduled_at = session.deadline
        self._hub = hub
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None

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
        metrics.MESSAGES_RECEIVED.inc()
        metrics.MESSAGES_RECEIVED_BYTES.inc(len(frame))
        if len(frame) > self._hub.settings.max_message_bytes:
            self.close(codes.MESSAGE_TOO_BIG)
            return True
        self._carry_out(self.session.receive(frame, clock.monotonic_seconds()))
        return not self._is_busy

    def on_time(self, now: float) -> None:
        """Let the session do what is due."""
        self._carry_out(self.session.on_time(now))

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
        self._carry_out(self.session.lost_state(channel))

    def close(self, disconnect: codes.Disconnect) -> None:
        """End the connection from the server's side."""
        self._carry_out(self.session.close(disconnect))

    def lost(self) -> None:
        """The socket is gone: let go of everything."""
        self.session.connection_lost()
        if self._task:
            self._task.cancel()
        self._hub.forget(self)
        self._hub.gone(self)
        self._go_on()

    @property
    def _is_busy(self) -> bool:
        return self.closing is None and self.session.backlog > _BACKLOG_COMMANDS

    def _go_on(self) -> None:
        if self._ready and not self._ready.done():
            self._ready.set_result(None)
        self._ready = None

    def _carry_out(self, effects: list[Effect]) -> None:
        was_busy = self._is_busy
        messages: list[bytes] = []
        for effect in effects:
            if isinstance(effect, Write):
                messages.append(effect.message)
                continue
            # What a session says in one go shares frames, and nothing overtakes it.
            self._write_all(messages)
            match effect:
                case Close(disconnect):
                    self._close(disconnect)
                case Leave(channel):
                    self._hub.leave(channel, self)
                case Authenticate() | Join() | ReadHistory() | PublishData():
                    # At most one at a time: the session waits for the answer.
                    self._task = asyncio.create_task(self._answer(effect))
                case _:
                    assert_never(effect)
        self._write_all(messages)
        if self.closing is None:
            self._hub.timers.update(self)
        if not self._is_busy and (was_busy or self._ready):
            self._go_on()
            self._outlet.resume_reading()

    def _write_all(self, messages: list[bytes]) -> None:
        if messages and self.closing is None:
            self._outlet.write(*messages)
        messages.clear()

    def _close(self, disconnect: codes.Disconnect) -> None:
        self.closing = disconnect
        if self._task and self._task is not asyncio.current_task():
            self._task.cancel()
        self._hub.forget(self)
        _logger.info(
            "connection_closed_by_server",
            code=disconnect.code,
            reason=disconnect.reason,
            client=self.session.client_id,
        )
        self._outlet.close(disconnect)

    async def _answer(self, effect: Authenticate | Join | ReadHistory | PublishData) -> None:
        try:
            match effect:
                case Authenticate(token):
                    effects = await self._authenticate(token)
                case Join():
                    effects = await self._join(effect)
                case ReadHistory():
                    history = await self._hub.broker.history(
                        effect.channel,
                        since=effect.since,
                        limit=effect.limit,
                        reverse=effect.reverse,
                    )
                    effects = self.session.history_read(history)
                case PublishData():
                    await self._hub.broker.publish(_publish_request(effect))
                    effects = self.session.published()
        except BrokerUnavailableError:
            effects = self.session.refused(codes.INTERNAL)
        except BinaryDataError:
            effects = self.session.close(codes.CLOSE_INAPPROPRIATE_PROTOCOL)
        except Exception:
            _logger.exception("command_failed", client=self.session.client_id)
            effects = self.session.refused(codes.INTERNAL)
        self._carry_out(effects)

    async def _authenticate(self, token: str) -> list[Effect]:
        try:
            claims = await self._hub.verify_token(token)
        except TokenExpiredError:
            return self.session.token_expired()
        except TokenInvalidError:
            return self.session.token_invalid()
        return self.session.authenticated(claims, clock.monotonic_seconds(), clock.unix_seconds())

    async def _join(self, effect: Join) -> list[Effect]:
        claims = self.session.claims
        if claims is None:
            return self.session.refused(codes.UNAUTHORIZED)
        try:
            joined = await self._hub.join(self, claims, effect.requests)
        except JoinRefusedError as refusal:
            return self.session.refused(refusal.error)
        # Nothing is awaited from the merge to the reply's place in the buffer.
        return self.session.joined(joined, clock.unix_seconds())


def _publish_request(effect: PublishData) -> PublishRequest:
    namespace = effect.namespace
    return PublishRequest(
        channel=effect.channel,
        data=effect.data,
        binary=not payload.is_json(effect.data),
        info=effect.info,
        history=HistoryOptions(namespace.history_size, namespace.history_ttl_seconds),
    )
