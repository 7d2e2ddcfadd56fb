"""The protocol state of one connection, without any I/O: commands in, replies and effects out.

A session works in order: while an effect that needs an answer is under way, later commands wait in
its inbox; only pongs pass. So at most one answer is expected at any time. Remote procedures are the
exception: a few of them run beside everything else, and their replies come when they are ready.

The commands themselves are functions over a session, one module of `commands` for each family.
"""

from collections import deque
from enum import Enum, auto
from typing import Final

import msgspec

from core import clock
from hub.realtime import codes, metrics
from hub.realtime.protocol.framing import Framing, MalformedFrameError
from hub.realtime.protocol.messages import (
    Command,
    MessagePush,
    Push,
    PushReply,
    Reply,
    error_reply,
    raw,
)
from hub.realtime.sessions import limits
from hub.realtime.sessions.commands import dispatch, orders, subscribe
from hub.realtime.sessions.effects import Close, Effect, Ping, Refused, Write
from hub.realtime.sessions.rules import Rules
from hub.realtime.sessions.subscriptions import Subscription
from hub.realtime.tokens.claims import ConnectClaims

CALLS_AT_ONCE: Final = 8


class SessionState(Enum):
    """Where a connection is in its life."""

    AWAITING_CONNECT = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    REFUSED = auto()
    """Connect was answered by an error: the client has to start again on a new socket."""
    CLOSED = auto()


class Pings(Enum):
    """How a connection is found out to be dead."""

    MESSAGES = auto()
    """By the protocol's own pings, which SDKs answer."""
    FRAMES = auto()
    """By the transport's, which any websocket client answers by itself."""
    NONE = auto()
    """By the server below, which pings on its own account."""


class _Excess(msgspec.Struct, frozen=True):
    """A command over the client's limit, in its place among the others."""

    id: int
    method: str


class Session:
    """One client's session; every method returns what is to be done, in order."""

    __slots__ = (
        "_began_at",
        "_due_at",
        "_empty_at",
        "_errors",
        "_inbox",
        "_orders",
        "_ping_sent_at",
        "calls",
        "claims",
        "client_id",
        "current",
        "expires_at",
        "framing",
        "jitter",
        "pings",
        "rules",
        "secret",
        "state",
        "subscriptions",
        "subscriptions_end_at",
    )

    def __init__(  # what differs between connections
        self,
        client_id: str,
        rules: Rules,
        framing: Framing,
        *,
        now: float,
        jitter: float = 1.0,
        secret: str = "",
        pings: Pings = Pings.MESSAGES,
    ) -> None:
        self.client_id = client_id
        self.rules = rules
        self.framing = framing
        self.secret = secret
        """By which an emulated connection is found; "" for a socket that carries both ways."""
        self.jitter = jitter
        """0 to 1: spreads the first pings of many connections."""
        self.pings = pings
        self.state = SessionState.AWAITING_CONNECT
        self.claims: ConnectClaims | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.current: Command | orders.Subscribe | None = None
        """What an effect is under way for."""
        self.calls = 0
        self.expires_at = 0.0
        self.subscriptions_end_at = 0.0
        self._inbox: deque[Command | _Excess] | None = None
        self._orders: deque[orders.Order] | None = None
        self._due_at = now + rules.settings.stale_close_seconds
        self._ping_sent_at = 0.0
        self._empty_at = 0.0
        self._errors = 0
        self._began_at = 0.0

    @property
    def user(self) -> str:
        """Whose connection it is; "" while unknown and for anonymous ones."""
        return self.claims.user if self.claims else ""

    @property
    def hears_pings(self) -> bool:
        """Whether the client is to answer the protocol's own pings."""
        return self.pings is Pings.MESSAGES

    @property
    def is_connected(self) -> bool:
        """Whether the client is connected and nothing has ended it."""
        return self.state is SessionState.CONNECTED

    @property
    def is_closed(self) -> bool:
        """Whether everything is over."""
        return self.state is SessionState.CLOSED

    @property
    def backlog(self) -> int:
        """How many commands wait; a shell stops reading while there are many."""
        return len(self._inbox) if self._inbox else 0

    @property
    def deadline(self) -> float:
        """When `on_time` has something to do next, on the clock that `now` comes from."""
        due = self._due_at
        if self.state is not SessionState.CONNECTED:
            return due
        if self._ping_sent_at:
            due = self._ping_sent_at + self.rules.settings.pong_timeout_seconds
        if self.expires_at:
            due = min(due, self.expires_at)
        return min(due, self.subscriptions_end_at) if self.subscriptions_end_at else due

    def receive(self, frame: str | bytes, now: float) -> list[Effect]:
        """Take one transport frame."""
        if self.state is SessionState.CLOSED:
            return []
        try:
            commands = self.framing.decode_commands(frame)
        except MalformedFrameError:
            return self.close(codes.CLOSE_BAD_REQUEST)
        for command in commands:
            if command.is_pong:
                if not self._ping_sent_at or not self.hears_pings:
                    return self.close(codes.CLOSE_BAD_REQUEST)
                self.ponged(now)
            elif self._queue(command, now) is limits.Pace.ABUSIVE:
                return self.close(codes.CLOSE_TOO_MANY_REQUESTS)
        return self.work()

    def ponged(self, now: float) -> None:
        """The ping under way was answered; a transport may also report pongs that nobody wants."""
        if self._ping_sent_at:
            metrics.PING_PONG_SECONDS.observe(now - self._ping_sent_at)
            self._ping_sent_at = 0.0

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due: ping, or end what is stale, silent or expired."""
        if self.state is SessionState.CLOSED:
            return []
        if self.state is not SessionState.CONNECTED:
            return self.close(codes.CLOSE_STALE) if now >= self._due_at else []
        if self.expires_at and now >= self.expires_at:
            return self.close(codes.CLOSE_EXPIRED)
        effects: list[Effect] = []
        if self.subscriptions_end_at and now >= self.subscriptions_end_at:
            effects = subscribe.expire(self, now)
            if self.state is not SessionState.CONNECTED:
                return effects
        return [*effects, *self._ping(now)]

    def connecting(self) -> None:
        """The connect command is under way; there is no second one."""
        self.state = SessionState.CONNECTING

    def connected(self, now: float) -> None:
        """The client is one of ours from now on, and hears pings."""
        self.state = SessionState.CONNECTED
        metrics.CLIENTS.inc()
        self._due_at = now + self.rules.settings.ping_interval_seconds * self.jitter

    def obey(self, order: orders.Order) -> list[Effect]:
        """Take an order of the server: before the client's commands, after the one under way."""
        if self.state in (SessionState.CLOSED, SessionState.REFUSED) or self.claims is None:
            return []
        if self._orders is None:
            self._orders = deque()
        self._orders.append(order)
        return self.work()

    def refused(self, error: codes.Error) -> list[Effect]:
        """What was under way failed."""
        if self.state is SessionState.CLOSED or self.current is None:
            return []
        if isinstance(self.current, orders.Subscribe):
            subscribe.withdraw(self, self.current.channel)
            self.current = None
            return self.work()
        if self.current.connect is not None:
            if self.claims is not None:
                # Half connected: the client did nothing wrong, let it come back with backoff.
                return self.close(codes.CLOSE_SERVER_ERROR)
        elif self.current.subscribe is not None:
            subscribe.withdraw(self, self.current.subscribe.channel)
        return [*self.refuse(error), *self.work()]

    def refuse(self, error: codes.Error) -> list[Effect]:
        """Answer the current command by an error; the caller goes on with the next."""
        command = self.finish()
        if command is None or not command.id:
            return []
        if command.connect is not None:
            self.state = SessionState.REFUSED
        return self.reply_error(command.id, command.method, error, command.channel)

    def reply_error(
        self, command_id: int, method: str, error: codes.Error, channel: str = ""
    ) -> list[Effect]:
        """Answer a command by an error."""
        metrics.REPLY_ERRORS.labels(method=method, code=str(error.code)).inc()
        if not error.temporary:
            self._errors += 1
            if self._errors > self.rules.settings.max_errors_in_row:
                return self.close(codes.CLOSE_TOO_MANY_ERRORS)
        reply = self.framing.encode_reply(error_reply(command_id, error))
        return [Refused(method, channel, error), Write(reply)]

    def reply(self, reply: Reply) -> list[Effect]:
        """Answer the current command; the caller goes on with the next."""
        command = self.finish()
        if command is None:
            return []
        reply.id = command.id
        return self.send(reply)

    def finish(self) -> Command | None:
        """Be done with the current command; nothing when an order was under way."""
        command, self.current = self.current, None
        if not isinstance(command, Command):
            return None
        # Only a figure: nothing is decided by this clock.
        metrics.COMMAND_SECONDS[command.method].observe(clock.monotonic_seconds() - self._began_at)
        return command

    def send(self, reply: Reply) -> list[Effect]:
        """Answer a command that is named in the reply."""
        self._errors = 0
        return [Write(self.framing.encode_reply(reply))]

    def answer(self, reply: Reply, late: list[Effect] | None = None) -> list[Effect]:
        """Answer the current command and go on with the next."""
        return [*self.reply(reply), *(late or []), *self.work()]

    def push(self, push: Push) -> Write:
        """Say something unasked."""
        return Write(self.framing.encode_reply(PushReply(push=push)))

    def message(self, data: bytes) -> list[Effect]:
        """Send data of the application's own."""
        if self.state is not SessionState.CONNECTED:
            return []
        return [self.push(Push(message=MessagePush(data=raw(data))))]

    def close(self, disconnect: codes.Disconnect) -> list[Effect]:
        """End the session."""
        if self.state is SessionState.CLOSED:
            return []
        metrics.DISCONNECTS.labels(code=metrics.close_label(disconnect.code)).inc()
        self._end()
        return [Close(disconnect)]

    def connection_lost(self) -> None:
        """The socket is gone."""
        self._end()

    def work(self) -> list[Effect]:
        """Begin what waits, until something has to be waited for."""
        effects: list[Effect] = []
        while self.current is None and self.state is not SessionState.CLOSED:
            if self._orders and self.state is SessionState.CONNECTED:
                effects += orders.start(self, self._orders.popleft())
            elif self._inbox and not self._waits_for_calls(self._inbox[0]):
                effects += self._start(self._inbox.popleft())
            else:
                break
        # An idle connection holds no empty queues.
        self._inbox = self._inbox or None
        self._orders = self._orders or None
        return effects

    def _ping(self, now: float) -> list[Effect]:
        if self._ping_sent_at:
            late = now >= self._ping_sent_at + self.rules.settings.pong_timeout_seconds
            return self.close(codes.CLOSE_NO_PONG) if late else []
        if now < self._due_at:
            return []
        self._due_at = now + self.rules.settings.ping_interval_seconds
        if self.pings is Pings.NONE:
            return []
        self._ping_sent_at = now
        return [Write(self.framing.ping) if self.hears_pings else Ping()]

    def _queue(self, command: Command, now: float) -> limits.Pace:
        settings = self.rules.settings
        self._empty_at, pace = limits.count(
            self._empty_at, now, settings.max_commands_per_second, settings.commands_burst
        )
        if self._inbox is None:
            self._inbox = deque()
        fine = pace is limits.Pace.FINE
        self._inbox.append(command if fine else _Excess(command.id, command.method))
        return pace

    def _waits_for_calls(self, item: "Command | _Excess") -> bool:
        return self.calls >= CALLS_AT_ONCE and isinstance(item, Command) and item.rpc is not None

    def _start(self, item: "Command | _Excess") -> list[Effect]:
        connects = isinstance(item, Command) and item.connect is not None
        fits = SessionState.AWAITING_CONNECT if connects else SessionState.CONNECTED
        if self.state is not fits:
            return self.close(codes.CLOSE_BAD_REQUEST)
        if isinstance(item, Command):
            self.current = item
            self._began_at = clock.monotonic_seconds()
            return dispatch.start(self, item)
        # Sent data has no reply; too much of it is let fall.
        return self.reply_error(item.id, item.method, codes.TOO_MANY_REQUESTS) if item.id else []

    def _end(self) -> None:
        if self.state is SessionState.CONNECTED:
            metrics.CLIENTS.dec()
        self.state = SessionState.CLOSED
        self._inbox = None
        self._orders = None
        self.current = None
