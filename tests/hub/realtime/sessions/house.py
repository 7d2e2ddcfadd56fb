"""Sessions without any I/O, and how tests read what they want done."""

import json
from typing import Any

from core import config
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.sessions.commands import connect, subscribe
from hub.realtime.sessions.effects import Close, Effect, Join, Joined, Write
from hub.realtime.sessions.rules import Rules
from hub.realtime.sessions.session import Session, SessionState
from hub.realtime.tokens.claims import ConnectClaims

SETTINGS = config.Realtime(max_channels_per_client=3, max_channel_length=20)
KEPT: dict[str, Any] = {
    "history_size": 10,
    "history_ttl_seconds": 60,
    "force_recovery": True,
    "force_positioning": True,
}
NAMESPACES = {
    "taps": Namespace(personal=True, **KEPT),
    "room": Namespace(ask=True, allow_history_for_subscriber=True, **KEPT),
    "open": Namespace(
        allow_subscribe_for_client=True,
        allow_publish_for_subscriber=True,
        presence=True,
        join_leave=True,
        allow_presence_for_subscriber=True,
    ),
    "shut": Namespace(ask=True, history_size=1, history_ttl_seconds=1, presence=True),
    "free": Namespace(
        history_size=10,
        history_ttl_seconds=60,
        presence=True,
        join_leave=True,
        allow_recovery=True,
        allow_positioning=True,
        allow_tags_filter=True,
        allowed_delta_types=("fossil",),
        allow_subscribe_for_client=True,
        allow_subscribe_for_anonymous=True,
        allow_publish_for_client=True,
        allow_publish_for_anonymous=True,
        allow_history_for_client=True,
        allow_history_for_anonymous=True,
        allow_presence_for_client=True,
        allow_presence_for_anonymous=True,
        allow_user_limited_channels=True,
    ),
    "user": Namespace(
        allow_subscribe_for_client=True,
        allow_publish_for_client=True,
        allow_history_for_client=True,
        allow_presence_for_client=True,
        presence=True,
        history_size=10,
        history_ttl_seconds=60,
    ),
    "cache": Namespace(
        allow_subscribe_for_client=True,
        force_recovery=True,
        force_recovery_mode="cache",
        history_size=1,
        history_ttl_seconds=60,
    ),
    "news": Namespace(
        allow_subscribe_for_client=True,
        force_recovery=True,
        force_recovery_mode="cache",
        auto_cache_recover=True,
        history_size=1,
        history_ttl_seconds=60,
    ),
    "mine": Namespace(personal=True, signed_in=True, allow_subscribe_for_client=True),
    "ours": Namespace(ask=True, signed_in=True, allow_history_for_client=True, **KEPT),
    "json": Namespace(allow_publish_for_client=True, publication_data_format="json_object"),
}
RULES = Rules(
    settings=SETTINGS,
    namespaces=NAMESPACES,
    methods=("echo", "fail"),
    hears_messages=True,
    node_id="node-1",
)
ANN = ConnectClaims(user="ann")
NOBODY = ConnectClaims(user="")


def new_session(rules: Rules = RULES, **options: Any) -> Session:
    return Session("client-1", rules, JSON, now=0.0, jitter=1.0, **options)


def command(number: int, **request: Any) -> str:
    return json.dumps({"id": number, **request})


def answers(effects: list[Effect]) -> list[Any]:
    return [json.loads(effect.message) for effect in effects if isinstance(effect, Write)]


def closes(effects: list[Effect]) -> list[int]:
    return [effect.disconnect.code for effect in effects if isinstance(effect, Close)]


def join(session: Session, *channels: str) -> list[Effect]:
    """Report that subscriptions stand."""
    results = {channel: Joined(SubscribeResult(), []) for channel in channels}
    return subscribe.joined(session, results, 0.0, 1000)


def connected(claims: ConnectClaims = ANN, rules: Rules = RULES, **request: Any) -> Session:
    session = new_session(rules)
    session.receive(command(1, connect={"token": "t", **request}), 0.0)
    (asked,) = connect.authenticated(session, claims, 0.0, 1000)
    assert isinstance(asked, Join)
    join(session, *(item.channel for item in asked.requests))
    assert session.state is SessionState.CONNECTED
    return session


def subscribed(channel: str = "room:a", claims: ConnectClaims = ANN, **request: Any) -> Session:
    session = connected(claims)
    session.receive(command(2, subscribe={"channel": channel, **request}), 0.0)
    join(session, channel)
    assert session.subscriptions[channel].settled
    return session
