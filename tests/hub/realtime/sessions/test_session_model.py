"""The session against a model: any order of frames, answers, losses and time keeps its promises.

The model is a shell: it does every effect at once or, if it has to be waited for, at a later step,
and keeps what a client, a registry, presence and the other subscribers would believe.
"""

import json
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from core import config
from hub.realtime import codes
from hub.realtime.broker import History, StreamPosition
from hub.realtime.presence import PresenceStats
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.sessions.commands import calls, channels, connect, orders, subscribe
from hub.realtime.sessions.effects import (
    Authenticate,
    Awaited,
    Call,
    Close,
    CountPresence,
    Effect,
    HandOver,
    Join,
    Joined,
    Leave,
    PublishData,
    ReadHistory,
    ReadPresence,
    Refused,
    VerifySubscription,
    Write,
)
from hub.realtime.sessions.session import CALLS_AT_ONCE, Session, SessionState
from hub.realtime.tokens.claims import ConnectClaims, SubscribeClaims, SubscribeOptions
from tests.hub.realtime.sessions.house import RULES

CHANNELS = ("room:a", "open:b", "json:c", "taps:ann", "nope:x", "")
MODEL_RULES = structs.replace(
    RULES,
    settings=config.Realtime(
        max_channels_per_client=3,
        max_errors_in_row=6,
        max_commands_per_second=2,
        commands_burst=12,
    ),
)


class SessionMachine(RuleBasedStateMachine):
    """Drives a session and keeps what the world would believe about it."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.number = 0
        self.session = Session("c", MODEL_RULES, JSON, now=0.0, jitter=0.5)
        self.pending: Awaited | None = None
        self.calls: list[int] = []
        self.asked: list[int] = []
        self.called: set[int] = set()
        self.answered: list[int] = []
        self.joined: set[str] = set()
        """What the registry and presence hold: also a subscription that is being made."""
        self.told: set[str] = set()
        """What the client believes to be subscribed to, from replies and pushes alone."""
        self.closed: int | None = None
        self.connected = False
        self.pings = 0
        self.orders = 0

    @property
    def unix_now(self) -> int:
        return 1000 + int(self.now)

    def take(self, effects: list[Effect]) -> None:
        """Do what a shell does, checking each effect on the way."""
        for effect in effects:
            assert self.closed is None, "nothing may follow a close"
            match effect:
                case Write(message):
                    self.read(json.loads(message))
                case Close(disconnect):
                    self.closed = disconnect.code
                    self.pending = None
                    self.joined.clear()
                case Leave(channel, subscription):
                    assert channel in self.joined
                    assert subscription.settled
                    self.joined.discard(channel)
                case Refused(error=error):
                    assert error in codes.ERRORS
                case Call(number):
                    self.calls.append(number)
                    assert len(self.calls) <= CALLS_AT_ONCE
                case _:
                    assert self.pending is None, "only one answer may be awaited"
                    self.pending = effect
                    if isinstance(effect, Join):
                        self.joined |= {item.channel for item in effect.requests}

    def read(self, message: dict[str, Any]) -> None:
        """Believe what a client would."""
        if not message:
            self.pings += 1
        elif "push" in message:
            assert self.connected, "pushes follow the reply to connect"
            push = message["push"]
            if "subscribe" in push:
                assert push["channel"] not in self.told
                self.told.add(push["channel"])
            elif "unsubscribe" in push:
                assert push["channel"] in self.told
                self.told.remove(push["channel"])
        else:
            self.answered.append(message["id"])
            if "connect" in message:
                self.connected = True
                self.told = set(message["connect"].get("subs", ()))
            request = self.requests.get(message["id"], {})
            if "subscribe" in message:
                self.told.add(request["subscribe"]["channel"])
            if "unsubscribe" in message:
                self.told.discard(request["unsubscribe"]["channel"])

    requests: dict[int, dict[str, Any]]

    def ask(self, **request: Any) -> None:
        if self.number == 0:
            self.requests = {}
        self.number += 1
        self.asked.append(self.number)
        self.requests[self.number] = request
        if "rpc" in request:
            self.called.add(self.number)
        frame = json.dumps({"id": self.number, **request})
        self.take(self.session.receive(frame, self.now))

    @rule(token=st.sampled_from(["t", ""]))
    def connect(self, token: str) -> None:
        first = self.session.state is SessionState.AWAITING_CONNECT
        open_before = self.closed is None
        busy = self.pending is not None or self.session.backlog
        self.ask(connect={"token": token, "subs": {"open:b": {}, "json:c": {}}})
        if open_before and not first and not busy:
            assert self.closed == 3501 or self.answered[-1] == self.number

    @rule(channel=st.sampled_from(CHANNELS), token=st.sampled_from(["", "t"]))
    def subscribe(self, channel: str, token: str) -> None:
        self.ask(subscribe={"channel": channel, "recover": True, "token": token})

    @rule(channel=st.sampled_from(CHANNELS))
    def renew_subscription(self, channel: str) -> None:
        self.ask(sub_refresh={"channel": channel, "token": "t"})

    @rule(channel=st.sampled_from(CHANNELS))
    def unsubscribe(self, channel: str) -> None:
        self.ask(unsubscribe={"channel": channel})

    @rule(channel=st.sampled_from(CHANNELS))
    def publish(self, channel: str) -> None:
        self.ask(publish={"channel": channel, "data": {}})

    @rule(
        channel=st.sampled_from(CHANNELS),
        method=st.sampled_from(["history", "presence", "presence_stats"]),
    )
    def read_channel(self, channel: str, method: str) -> None:
        self.ask(**{method: {"channel": channel}})

    @rule()
    def refresh(self) -> None:
        self.ask(refresh={"token": "t"})

    @rule(method=st.sampled_from(["echo", "unknown"]))
    def rpc(self, method: str) -> None:
        self.ask(rpc={"method": method})

    @rule()
    def send(self) -> None:
        self.take(self.session.receive('{"send":{"data":1}}', self.now))

    @rule()
    def pong(self) -> None:
        was_owed = self.pings > 0
        open_before = self.closed is None
        self.take(self.session.receive("{}", self.now))
        if was_owed:
            self.pings -= 1
        elif open_before:
            assert self.closed == 3501

    @rule(frame=st.sampled_from(["", "{", "[]", '{"id":1}', '{"id":-1,"rpc":{}}', "\u0000"]))
    def send_rubbish(self, frame: str) -> None:
        open_before = self.closed is None
        busy = self.pending is not None or self.session.backlog
        self.take(self.session.receive(frame, self.now))
        if open_before and not busy:
            assert self.closed == 3501

    @rule(channel=st.sampled_from(CHANNELS), subscribes=st.booleans())
    def order(self, channel: str, subscribes: bool) -> None:
        if subscribes:
            order: orders.Order = orders.Subscribe(channel, SubscribeOptions(), None)
        else:
            order = orders.Unsubscribe(channel, codes.UNSUBSCRIBED_BY_SERVER)
        self.take(self.session.obey(order))

    @rule(ttl_seconds=st.sampled_from([-1, 0, 60]))
    def order_refresh(self, ttl_seconds: int) -> None:
        expires_at = self.unix_now + ttl_seconds if ttl_seconds else 0
        order = orders.Refresh(expires_at=expires_at, now=self.now, unix_now=self.unix_now)
        self.take(self.session.obey(order))

    @precondition(lambda self: self.pending is not None)
    @rule(good=st.booleans(), ttl_seconds=st.sampled_from([0, 1, 60]))
    def answer(self, good: bool, ttl_seconds: int) -> None:
        pending, self.pending = cast("Awaited", self.pending), None
        if not good:
            if isinstance(pending, Join):
                self.joined -= {item.channel for item in pending.requests}
            self.take(self.session.refused(codes.INTERNAL))
            return
        self.take(self.outcome(pending, self.unix_now + ttl_seconds if ttl_seconds else 0))

    def outcome(  # noqa: PLR0911  # one per effect
        self, pending: Awaited, expires_at: int
    ) -> list[Effect]:
        """Report that what was waited for went well."""
        session = self.session
        match pending:
            case Authenticate():
                claims = ConnectClaims(user="ann", expires_at=expires_at)
                return connect.authenticated(session, claims, self.now, self.unix_now)
            case VerifySubscription():
                current = self.requests[self.current_id]
                request = current.get("subscribe") or current["sub_refresh"]
                claims = SubscribeClaims(
                    user="ann",
                    channel=request["channel"],
                    options=SubscribeOptions(expires_at=expires_at),
                )
                return subscribe.verified(session, claims, self.now, self.unix_now)
            case Join(requests):
                found = {item.channel: Joined(SubscribeResult(), []) for item in requests}
                return subscribe.joined(session, found, self.now, self.unix_now)
            case ReadHistory():
                return channels.history_read(session, History([], StreamPosition(0, "e")))
            case ReadPresence():
                return channels.presence_read(session, {})
            case CountPresence():
                return channels.presence_counted(session, PresenceStats())
            case PublishData():
                return channels.published(session)
            case HandOver():
                return calls.handed_over(session)

    @property
    def current_id(self) -> int:
        current = self.session.current
        assert current is not None
        assert not isinstance(current, orders.Subscribe)
        return current.id

    @precondition(lambda self: self.calls)
    @rule(good=st.booleans(), last=st.booleans())
    def answer_call(self, good: bool, last: bool) -> None:
        number = self.calls.pop(-1 if last else 0)
        if good:
            self.take(calls.called(self.session, number, b"1"))
        else:
            self.take(calls.failed(self.session, number, codes.INTERNAL))

    @rule(seconds=st.sampled_from([0.1, 1.0, 8.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.session.on_time(self.now))

    @rule(channel=st.sampled_from(CHANNELS))
    def lose(self, channel: str) -> None:
        subscription = self.session.subscriptions.get(channel)
        if subscription and subscription.settled:
            self.take(subscribe.lost_state(self.session, channel))

    @rule()
    def lose_connection(self) -> None:
        if self.number % 7 == 6:  # seldom, or nothing else would happen
            self.session.connection_lost()
            self.closed = self.closed or 0
            self.pending = None

    @invariant()
    def replies_keep_the_order_of_commands_but_for_calls(self) -> None:
        answered = set(self.answered)
        in_order = [item for item in self.answered if item not in self.called]
        assert in_order == [
            item for item in self.asked if item in answered and item not in self.called
        ]

    @invariant()
    def every_command_is_answered_once_unless_it_waits_or_the_session_ended(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        if self.closed is not None:
            assert self.session.state is SessionState.CLOSED
            assert self.session.backlog == 0
            return
        waits = {*self.calls}
        inbox = self.session._inbox or ()  # pyright: ignore[reportPrivateUsage]
        waits |= {item.id for item in inbox if item.id}
        current = self.session.current
        if current is not None and not isinstance(current, orders.Subscribe) and current.id:
            waits.add(current.id)
        assert sorted({*self.answered} | waits) == self.asked
        assert not {*self.answered} & waits

    @invariant()
    def registry_and_session_agree_on_subscriptions(self) -> None:
        if self.closed is None:
            assert self.joined == set(self.session.subscriptions)

    @invariant()
    def the_client_knows_its_subscriptions(self) -> None:
        if self.closed is None and self.connected:
            settled = {name for name, item in self.session.subscriptions.items() if item.settled}
            assert self.told == settled

    @invariant()
    def at_most_one_ping_is_unanswered(self) -> None:
        assert self.pings in (0, 1)

    @invariant()
    def there_is_always_something_due_unless_it_is_over(self) -> None:
        if self.closed is None:
            assert self.session.deadline <= self.now + 60 + 25 + 1

    @invariant()
    def nothing_is_waited_for_without_a_reason(self) -> None:
        if self.closed is None and self.pending is None:
            assert self.session.current is None
            assert not self.session.backlog or len(self.calls) == CALLS_AT_ONCE


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
