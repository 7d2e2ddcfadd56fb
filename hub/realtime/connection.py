"""One connection of a client: carries out the session's effects, holds what waits to be written.

A carrier (websocket now, others later) feeds `receive`, writes what `take` returns whenever `wake`
is called, and closes the socket when `closing` is set and nothing is left to write.
"""

import asyncio
from collections.abc import Callable
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
from hub.realtime.protocol.framing import Framing
from hub.realtime.session import Session

if TYPE_CHECKING:
    from hub.realtime.hub import Hub

MESSAGES_PER_FRAME: Final = 16
_FRAME_BYTES: Final = 65_536
_BACKLOG_COMMANDS: Final = 64

_logger = log.get("realtime.connection")


class Connection:
    """Binds a session to hub and carrier. A full buffer closes it: memory stays bounded."""

    def __init__(
        self, hub: "Hub", session: Session, framing: Framing, wake: Callable[[], None]
    ) -> None:
        self.session = session
        self.closing: codes.Disconnect | None = None
        self.scheduled_at = session.deadline
        self._hub = hub
        self._framing = framing
        self._wake = wake
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._full = False
        self._task: asyncio.Task[None] | None = None
        self._ready_to_read = asyncio.Event()
        self._ready_to_read.set()

    @property
    def deadline(self) -> float:
        """When the session wants to be called next."""
        return self.session.deadline

    async def receive(self, frame: str | bytes) -> None:
        """Take a frame; returns when the session is ready for another."""
        metrics.MESSAGES_RECEIVED.inc()
        metrics.MESSAGES_RECEIVED_BYTES.inc(len(frame))
        if len(frame) > self._hub.settings.max_message_bytes:
            self.close(codes.MESSAGE_TOO_BIG)
            return
        self._carry_out(self.session.receive(frame, clock.monotonic_seconds()))
        await self._ready_to_read.wait()

    def on_time(self, now: float) -> None:
        """Let the session do what is due."""
        self._carry_out(self.session.on_time(now))

    def write(self, message: bytes) -> None:
        """Queue one encoded message, or give the client up when its buffer is full."""
        if self.closing or self._full:
            return
        size = self._waiting_bytes + len(message)
        # A single large answer always fits: refusing it would repeat for ever.
        if size > self._hub.settings.buffer_max_bytes and self._waiting:
            self._full = True
            self._waiting.clear()
            self._waiting_bytes = 0
            # Later, because a fan-out may be walking through the subscribers right now.
            asyncio.get_running_loop().call_soon(self.close, codes.CLOSE_SLOW)
            return
        self._waiting.append(message)
        self._waiting_bytes = size
        self._wake()

    def take(self) -> bytes | None:
        """Return the next transport frame, or None when nothing waits."""
        if not self._waiting:
            return None
        count = size = 0
        for message in self._waiting[:MESSAGES_PER_FRAME]:
            if count and size + len(message) > _FRAME_BYTES:
                break
            count += 1
            size += len(message)
        frame = self._framing.join(self._waiting[:count])
        del self._waiting[:count]
        self._waiting_bytes -= size
        metrics.MESSAGES_SENT.inc(count)
        metrics.MESSAGES_SENT_BYTES.inc(len(frame))
        return frame

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
        self._waiting.clear()
        self._waiting_bytes = 0

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Write(message):
                    self.write(message)
                case Close(disconnect):
                    self.closing = disconnect
                    self._ready_to_read.set()
                    if self._task and self._task is not asyncio.current_task():
                        self._task.cancel()
                    self._hub.forget(self)
                    _logger.info(
                        "connection_closed_by_server",
                        code=disconnect.code,
                        reason=disconnect.reason,
                        client=self.session.client_id,
                    )
                    self._wake()
                case Leave(channel):
                    self._hub.leave(channel, self)
                case Authenticate() | Join() | ReadHistory() | PublishData():
                    # At most one at a time: the session waits for the answer.
                    self._task = asyncio.create_task(self._answer(effect))
                case _:
                    assert_never(effect)
        if self.closing is None:
            if self.session.backlog > _BACKLOG_COMMANDS:
                self._ready_to_read.clear()
            else:
                self._ready_to_read.set()
            self._hub.timers.update(self)

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
        info=effect.info,
        history=HistoryOptions(namespace.history_size, namespace.history_ttl_seconds),
    )
