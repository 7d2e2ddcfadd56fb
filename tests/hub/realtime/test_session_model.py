"""The session against a model: any order of frames, answers, losses and time keeps its promises."""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core import config
from hub.realtime import codes
from hub.realtime.broker import History, StreamPosition
from hub.realtime.claims import ConnectClaims
from hub.realtime.effects import (
    Authenticate,
    Close,
    Effect,
    Join,
    Joined,
    Leave,
    PublishData,
    ReadHistory,
    Write,
)
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.session import Session, SessionState

KEPT = Namespace(
    ask=True,
    history_size=9,
    history_ttl_seconds=9,
    force_recovery=True,
    force_positioning=True,
    allow_publish_for_subscriber=True,
    allow_history_for_subscriber=True,
)
NAMESPACES = {
    "taps": Namespace(
        personal=True,
        history_size=9,
        history_ttl_seconds=9,
        force_recovery=True,
        force_positioning=True,
        allow_history_for_subscriber=True,
    ),
    "room": KEPT,
}
CHANNELS = ("room:a", "room:b", "taps:ann", "nope:x")


class SessionMachine(RuleBasedStateMachine):
    """Drives a session and keeps what a client and the hub would believe about it."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.number = 0
        self.session = Session("c", config.Realtime(), NAMESPACES, JSON, now=0.0, jitter=0.5)
        self.pending: Effect | None = None
        self.asked: list[int] = []
        self.answered: list[int] = []
        self.joined: set[str] = set()
        self.closed: int | None = None
        self.pings = 0

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
                case Leave(channel):
                    self.joined.discard(channel)
                case Authenticate() | Join() | ReadHistory() | PublishData():
                    assert self.pending is None, "only one answer may be awaited"
                    self.pending = effect

    def read(self, message: dict[str, Any]) -> None:
        if not message:
            self.pings += 1
        elif "push" not in message:
            self.answered.append(message["id"])

    def ask(self, **request: Any) -> None:
        self.number += 1
        self.asked.append(self.number)
        frame = json.dumps({"id": self.number, **request})
        self.take(self.session.receive(frame, self.now))

    @rule(token=st.sampled_from(["t", ""]))
    def connect(self, token: str) -> None:
        first = self.session.state is SessionState.AWAITING_CONNECT
        open_before = self.closed is None
        busy = self.pending is not None
        self.ask(connect={"token": token})
        if open_before and not first and not busy:
            assert self.closed == 3501

    @rule(channel=st.sampled_from(CHANNELS), recover=st.booleans())
    def subscribe(self, channel: str, recover: bool) -> None:
        self.ask(subscribe={"channel": channel, "recover": recover})

    @rule(channel=st.sampled_from(CHANNELS))
    def unsubscribe(self, channel: str) -> None:
        self.ask(unsubscribe={"channel": channel})

    @rule(channel=st.sampled_from(CHANNELS))
    def publish(self, channel: str) -> None:
        self.ask(publish={"channel": channel, "data": {}})

    @rule(channel=st.sampled_from(CHANNELS))
    def history(self, channel: str) -> None:
        self.ask(history={"channel": channel})

    @rule()
    def refresh(self) -> None:
        self.ask(refresh={"token": "t"})

    @rule()
    def rpc(self) -> None:
        self.ask(rpc={})

    @rule()
    def pong(self) -> None:
        was_owed = self.pings > 0
        open_before = self.closed is None
        self.take(self.session.receive("{}", self.now))
        if was_owed:
            self.pings -= 1
        elif open_before:
            assert self.closed == 3501

    @precondition(lambda self: self.pending is not None)
    @rule(good=st.booleans(), ttl_seconds=st.sampled_from([0, 1, 60]))
    def answer(self, good: bool, ttl_seconds: int) -> None:
        pending, self.pending = self.pending, None
        if not good:
            self.take(self.session.refused(codes.INTERNAL))
            return
        match pending:
            case Authenticate():
                claims = ConnectClaims(
                    user="ann", expires_at=1000 + ttl_seconds if ttl_seconds else 0
                )
                self.take(self.session.authenticated(claims, self.now, 1000))
            case Join(requests):
                names = {item.channel for item in requests}
                self.joined |= names
                self.take(
                    self.session.joined(
                        {name: Joined(SubscribeResult(), []) for name in names}, 1000
                    )
                )
            case ReadHistory():
                self.take(self.session.history_read(History([], StreamPosition(0, "e"))))
            case _:
                self.take(self.session.published())

    @rule(seconds=st.sampled_from([0.1, 1.0, 8.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.session.on_time(self.now))

    @rule(channel=st.sampled_from(CHANNELS))
    def lose(self, channel: str) -> None:
        if channel in self.joined:
            self.take(self.session.lost_state(channel))

    @invariant()
    def replies_keep_the_order_of_commands(self) -> None:
        expected = [number for number in self.asked if number in set(self.answered)]
        assert self.answered == expected

    @invariant()
    def every_command_is_answered_once_unless_it_waits_or_the_session_ended(self) -> None:
        waiting = self.session.backlog + (self.pending is not None)
        if self.closed is None:
            assert len(self.answered) + waiting == len(self.asked)
        else:
            assert self.session.state is SessionState.CLOSED
            assert self.session.backlog == 0

    @invariant()
    def hub_and_session_agree_on_subscriptions(self) -> None:
        if self.closed is None and self.pending is None:
            assert self.joined == set(self.session.subscriptions)

    @invariant()
    def at_most_one_ping_is_unanswered(self) -> None:
        assert self.pings in (0, 1)


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
