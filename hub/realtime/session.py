"""The protocol state of one connection, without any I/O: commands in, replies and effects out.

A session works strictly in order: while an effect that needs an answer is under way, later commands
wait in its inbox; only pongs pass. So at most one answer is expected at any time.
"""

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from core import config
from hub.realtime import admission, codes, metrics
from hub.realtime.broker import History
from hub.realtime.claims import ConnectClaims
from hub.realtime.effects import (
    Authenticate,
    Close,
    Effect,
    Join,
    Joined,
    Leave,
    Write,
)
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.framing import BinaryDataError, Framing, MalformedFrameError
from hub.realtime.protocol.messages import (
    Command,
    ConnectRequest,
    ConnectResult,
    HistoryRequest,
    HistoryResult,
    PublishRequest,
    PublishResult,
    Push,
    PushReply,
    RefreshRequest,
    RefreshResult,
    Reply,
    SubscribeRequest,
    UnsubscribePush,
    UnsubscribeRequest,
    UnsubscribeResult,
    error_reply,
)

_NAME_MAX_CHARACTERS: Final = 16
_VERSION_MAX_CHARACTERS: Final = 64


class SessionState(Enum):
    """Where a connection is in its life."""

    AWAITING_CONNECT = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    REFUSED = auto()
    """Connect was answered by an error: the client has to start again on a new socket."""
    CLOSED = auto()


class Session:
    """One client's session; every method returns what is to be done, in order."""

    __slots__ = (
        "_current",
        "_expires_at",
        "_framing",
        "_inbox",
        "_jitter",
        "_namespaces",
        "_next_ping_at",
        "_ping_sent_at",
        "_settings",
        "_stale_at",
        "claims",
        "client_id",
        "emulation",
        "state",
        "subscriptions",
    )

    def __init__(
        self,
        client_id: str,
        settings: config.Realtime,
        known: Mapping[str, Namespace],
        framing: Framing,
        *,
        now: float,
        jitter: float = 1.0,
        emulation: tuple[str, str] = ("", ""),
    ) -> None:
        self.client_id = client_id
        self.emulation = emulation
        """For a transport that only carries to the client: its secret session and this node."""
        self.state = SessionState.AWAITING_CONNECT
        self.claims: ConnectClaims | None = None
        self.subscriptions: dict[str, bool] = {}
        """Channel to whether the server made the subscription."""
        self._settings = settings
        self._namespaces = known
        self._framing = framing
        self._jitter = jitter  # 0 to 1: spreads the first pings of many connections
        self._inbox: deque[Command] = deque()
        self._current: Command | None = None
        self._stale_at = now + settings.stale_close_seconds
        self._next_ping_at = 0.0
        self._ping_sent_at = 0.0
        self._expires_at = 0.0

    @property
    def backlog(self) -> int:
        """How many commands wait; a shell stops reading while there are many."""
        return len(self._inbox)

    @property
    def deadline(self) -> float:
        """When `on_time` has something to do next, on the clock that `now` comes from."""
        if self.state is not SessionState.CONNECTED:
            return self._stale_at
        due = self._next_ping_at
        if self._ping_sent_at:
            due = self._ping_sent_at + self._settings.pong_timeout_seconds
        return min(due, self._expires_at) if self._expires_at else due

    def receive(self, frame: str | bytes, now: float) -> list[Effect]:
        """Take one transport frame."""
        if self.state is SessionState.CLOSED:
            return []
        try:
            commands = self._framing.decode_commands(frame)
        except MalformedFrameError:
            return self._close(codes.CLOSE_BAD_REQUEST)
        for command in commands:
            if not command.is_pong:
                self._inbox.append(command)
            elif not self._ping_sent_at:
                return self._close(codes.CLOSE_BAD_REQUEST)
            else:
                metrics.PING_PONG_SECONDS.observe(now - self._ping_sent_at)
                self._ping_sent_at = 0.0
        return self._work()

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due: ping, or close a stale, silent or expired connection."""
        if self.state is SessionState.CLOSED:
            return []
        if self.state is not SessionState.CONNECTED:
            return self._close(codes.CLOSE_STALE) if now >= self._stale_at else []
        if self._expires_at and now >= self._expires_at:
            return self._close(codes.CLOSE_EXPIRED)
        if self._ping_sent_at:
            late = now >= self._ping_sent_at + self._settings.pong_timeout_seconds
            return self._close(codes.CLOSE_NO_PONG) if late else []
        if now < self._next_ping_at:
            return []
        self._next_ping_at = now + self._settings.ping_interval_seconds
        self._ping_sent_at = now
        return [Write(self._framing.ping)]

    def authenticated(self, claims: ConnectClaims, now: float, unix_now: int) -> list[Effect]:
        """The token of the connect or refresh command under way is good."""
        if self.state is SessionState.CLOSED or self._current is None:
            return []
        ttl_seconds = claims.expires_at - unix_now
        if claims.expires_at and ttl_seconds <= 0:
            return self.token_expired()
        if self.claims and claims.user != self.claims.user:
            return self._close(codes.CLOSE_INVALID_TOKEN)
        self.claims = claims
        self._expires_at = 0.0
        if claims.expires_at:
            self._expires_at = now + ttl_seconds + self._settings.expired_close_delay_seconds
        if self._current.connect is not None:
            return self._join_personal_channels(self._current.connect, claims, now)
        result = RefreshResult(
            client=self.client_id, expires=bool(claims.expires_at), ttl=max(0, ttl_seconds)
        )
        return self._answer(Reply(refresh=result))

    def token_invalid(self) -> list[Effect]:
        """The token under way is worthless."""
        return self._close(codes.CLOSE_INVALID_TOKEN)

    def token_expired(self) -> list[Effect]:
        """The token under way was good once."""
        if self._current and self._current.refresh is not None:
            # An error reply would be final for SDKs; this close makes them come back.
            return self._close(codes.CLOSE_EXPIRED)
        return self.refused(codes.TOKEN_EXPIRED)

    def refused(self, error: codes.Error) -> list[Effect]:
        """The command under way failed."""
        if self.state is SessionState.CLOSED or self._current is None:
            return []
        if self._current.connect is not None:
            if self.claims is not None:
                # Half connected: the client did nothing wrong, let it come back with backoff.
                return self._close(codes.CLOSE_SERVER_ERROR)
            self.state = SessionState.REFUSED
        elif self._current.subscribe is not None:
            self.subscriptions.pop(self._current.subscribe.channel, None)
        metrics.REPLY_ERRORS.labels(method=self._current.method, code=str(error.code)).inc()
        return self._answer(error_reply(0, error))

    def joined(self, joined: dict[str, Joined], unix_now: int) -> list[Effect]:
        """The subscriptions of the command under way stand."""
        if self.state is SessionState.CLOSED or self._current is None:
            return []
        late = [Write(message) for item in joined.values() for message in item.late]
        if self._current.connect is None:
            (only,) = joined.values()
            return self._answer(Reply(subscribe=only.result), late)
        self.state = SessionState.CONNECTED
        metrics.CLIENTS.inc()
        expires_at = self.claims.expires_at if self.claims else 0
        result = ConnectResult(
            client=self.client_id,
            expires=bool(expires_at),
            ttl=max(0, expires_at - unix_now) if expires_at else 0,
            subs={channel: item.result for channel, item in joined.items()},
            ping=max(1, round(self._settings.ping_interval_seconds)),
            pong=True,
        )
        result.session, result.node = self.emulation
        return self._answer(Reply(connect=result), late)

    def history_read(self, history: History) -> list[Effect]:
        """The stream asked for was read."""
        if self.state is SessionState.CLOSED or self._current is None:
            return []
        request = self._current.history
        since = request.since if request else None
        if since and since.epoch and since.epoch != history.top.epoch:
            return self.refused(codes.UNRECOVERABLE_POSITION)
        try:
            publications = [self._framing.publication(item) for item in history.publications]
        except BinaryDataError:
            return self._close(codes.CLOSE_INAPPROPRIATE_PROTOCOL)
        result = HistoryResult(
            publications=publications,
            epoch=history.top.epoch,
            offset=history.top.offset,
        )
        return self._answer(Reply(history=result))

    def published(self) -> list[Effect]:
        """The client's publication is out."""
        return self._answer(Reply(publish=PublishResult())) if self._current else []

    def lost_state(self, channel: str) -> list[Effect]:
        """Publications of a channel were missed: the client has to recover or refetch."""
        if self.state is SessionState.CLOSED or channel not in self.subscriptions:
            return []
        if self.subscriptions.pop(channel):
            return [Leave(channel), *self._close(codes.CLOSE_INSUFFICIENT_STATE)]
        reason = codes.UNSUBSCRIBED_INSUFFICIENT_STATE
        metrics.UNSUBSCRIBES.labels(code=str(reason.code)).inc()
        push = Push(
            channel=channel, unsubscribe=UnsubscribePush(code=reason.code, reason=reason.reason)
        )
        return [Leave(channel), Write(self._framing.encode_reply(PushReply(push=push)))]

    def close(self, disconnect: codes.Disconnect) -> list[Effect]:
        """The server ends the session."""
        return self._close(disconnect)

    def connection_lost(self) -> None:
        """The socket is gone."""
        self._end()

    def _work(self) -> list[Effect]:
        effects: list[Effect] = []
        while self._inbox and self._current is None and self.state is not SessionState.CLOSED:
            self._current = self._inbox.popleft()
            effects += self._start(self._current)
        return effects

    def _start(self, command: Command) -> list[Effect]:  # noqa: PLR0911  # one per command
        fits = (
            self.state is SessionState.AWAITING_CONNECT
            if command.connect is not None
            else self.state is SessionState.CONNECTED
        )
        if not fits or (command.id == 0 and command.send is None):
            return self._close(codes.CLOSE_BAD_REQUEST)
        match command:
            case Command(connect=ConnectRequest() as request):
                return self._start_connect(request)
            case Command(subscribe=SubscribeRequest() as request):
                return self._start_subscribe(request)
            case Command(unsubscribe=UnsubscribeRequest() as request):
                return self._unsubscribe(request)
            case Command(publish=PublishRequest() as request):
                return self._start_publish(request)
            case Command(history=HistoryRequest() as request):
                return self._start_history(request)
            case Command(refresh=RefreshRequest() as request) if request.token:
                return [Authenticate(request.token)]
            case Command(send=None) if command.method not in ("", "refresh"):
                return self._refuse(codes.NOT_AVAILABLE)  # presence, rpc, sub_refresh
            case Command(send=send) if send is not None:
                return self._close(codes.CLOSE_NOT_AVAILABLE)
            case _:
                return self._close(codes.CLOSE_BAD_REQUEST)

    def _start_connect(self, request: ConnectRequest) -> list[Effect]:
        if (
            len(request.name) > _NAME_MAX_CHARACTERS
            or len(request.version) > _VERSION_MAX_CHARACTERS
        ):
            return self._close(codes.CLOSE_BAD_REQUEST)
        self.state = SessionState.CONNECTING
        return [Authenticate(request.token)]

    def _join_personal_channels(
        self, request: ConnectRequest, claims: ConnectClaims, now: float
    ) -> list[Effect]:
        self._next_ping_at = now + self._settings.ping_interval_seconds * self._jitter
        join = admission.personal(request.subs, self._namespaces, claims.user)
        self.subscriptions |= {request.channel: True for request in join.requests}
        return [join]

    def _start_subscribe(self, request: SubscribeRequest) -> list[Effect]:
        decision = admission.subscribe(
            request, self._namespaces, self.subscriptions, self._user, self._settings
        )
        if isinstance(decision, Join):
            self.subscriptions[request.channel] = False
        return self._begin(decision)

    def _unsubscribe(self, request: UnsubscribeRequest) -> list[Effect]:
        if not request.channel:
            return self._close(codes.CLOSE_BAD_REQUEST)
        left: list[Effect] = []
        if request.channel in self.subscriptions:
            del self.subscriptions[request.channel]
            left.append(Leave(request.channel))
        return [*left, *self._reply(Reply(unsubscribe=UnsubscribeResult()))]

    def _start_publish(self, request: PublishRequest) -> list[Effect]:
        return self._begin(
            admission.publish(
                request, self._namespaces, self.subscriptions, self._user, self.client_id
            )
        )

    def _start_history(self, request: HistoryRequest) -> list[Effect]:
        most = self._settings.recovery_max_publications
        return self._begin(
            admission.read_history(request, self._namespaces, self.subscriptions, most)
        )

    def _begin(self, decision: Effect | admission.Refusal) -> list[Effect]:
        match decision:
            case codes.Disconnect():
                return self._close(decision)
            case codes.Error():
                # Not `refused`: the channel may be subscribed, and stays so.
                return self._refuse(decision)
            case effect:
                return [effect]

    @property
    def _user(self) -> str:
        return self.claims.user if self.claims else ""

    def _refuse(self, error: codes.Error) -> list[Effect]:
        """Refuse a command before it changed anything."""
        if self._current:
            metrics.REPLY_ERRORS.labels(method=self._current.method, code=str(error.code)).inc()
        return self._reply(error_reply(0, error))

    def _reply(self, reply: Reply) -> list[Effect]:
        """Answer the current command; the caller goes on with the next."""
        if self._current is None:
            return []
        reply.id = self._current.id
        self._current = None
        return [Write(self._framing.encode_reply(reply))]

    def _answer(self, reply: Reply, late: list[Write] | None = None) -> list[Effect]:
        """Answer the current command and go on with the next."""
        return [*self._reply(reply), *(late or []), *self._work()]

    def _close(self, disconnect: codes.Disconnect) -> list[Effect]:
        if self.state is SessionState.CLOSED:
            return []
        metrics.DISCONNECTS.labels(code=str(disconnect.code)).inc()
        self._end()
        return [Close(disconnect)]

    def _end(self) -> None:
        if self.state is SessionState.CONNECTED:
            metrics.CLIENTS.dec()
        self.state = SessionState.CLOSED
        self._inbox.clear()
        self._current = None
