"""The session core, table by table: what each input makes it do."""

import json
from typing import Any

import pytest

from core import config
from hub.realtime import codes
from hub.realtime.broker import History, Publication, StreamPosition
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

SETTINGS = config.Realtime(max_channels_per_client=3, max_channel_length=20)
NAMESPACES = {
    "taps": Namespace(
        personal=True,
        history_size=10,
        history_ttl_seconds=60,
        force_recovery=True,
        force_positioning=True,
    ),
    "room": Namespace(
        ask=True,
        history_size=10,
        history_ttl_seconds=60,
        force_recovery=True,
        force_positioning=True,
        allow_history_for_subscriber=True,
    ),
    "open": Namespace(
        ask=True, allow_publish_for_subscriber=True, allow_history_for_subscriber=True
    ),
    "shut": Namespace(ask=True, history_size=1, history_ttl_seconds=1),
}
ANN = ConnectClaims(user="ann")


def new_session() -> Session:
    return Session("client-1", SETTINGS, NAMESPACES, JSON, now=0.0, jitter=1.0)


def command(number: int, **request: Any) -> str:
    return json.dumps({"id": number, **request})


def answers(effects: list[Effect]) -> list[Any]:
    return [json.loads(effect.message) for effect in effects if isinstance(effect, Write)]


def closes(effects: list[Effect]) -> list[int]:
    return [effect.disconnect.code for effect in effects if isinstance(effect, Close)]


def connected(claims: ConnectClaims = ANN) -> Session:
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    (join,) = session.authenticated(claims, 0.0, 1000)
    assert isinstance(join, Join)
    session.joined({item.channel: Joined(SubscribeResult(), []) for item in join.requests}, 1000)
    assert session.state is SessionState.CONNECTED
    return session


def subscribed(channel: str = "room:a") -> Session:
    session = connected()
    session.receive(command(2, subscribe={"channel": channel}), 0.0)
    session.joined({channel: Joined(SubscribeResult(), [])}, 1000)
    return session


def test_connect_authenticates_joins_personal_channels_and_answers():
    session = new_session()
    assert session.receive(command(1, connect={"token": "t"}), 0.0) == [Authenticate("t")]
    (join,) = session.authenticated(ConnectClaims(user="ann", expires_at=1600), 0.0, 1000)
    assert isinstance(join, Join)
    assert [(item.channel, item.ask) for item in join.requests] == [("taps:ann", False)]
    (reply,) = answers(session.joined({"taps:ann": Joined(SubscribeResult(), [])}, 1000))
    assert reply == {
        "id": 1,
        "connect": {
            "client": "client-1",
            "expires": True,
            "ttl": 600,
            "subs": {"taps:ann": {}},
            "ping": 25,
            "pong": True,
        },
    }


def test_positions_that_the_client_knows_are_recovered_at_connect():
    session = new_session()
    known = {
        "taps:ann": {"recover": True, "offset": 5, "epoch": "e"},
        "taps:bob": {"recover": True},
    }
    session.receive(command(1, connect={"token": "t", "subs": known}), 0.0)
    (join,) = session.authenticated(ANN, 0.0, 1000)
    assert isinstance(join, Join)
    (request,) = join.requests
    assert (request.channel, request.since) == ("taps:ann", StreamPosition(5, "e"))


def test_pushes_that_arrived_meanwhile_follow_the_connect_reply():
    session = new_session()
    session.receive(command(1, connect={}), 0.0)
    session.authenticated(ANN, 0.0, 1000)
    reply, late = session.joined({"taps:ann": Joined(SubscribeResult(), [b'{"push":1}'])}, 1000)
    assert isinstance(reply, Write)
    assert b"connect" in reply.message
    assert late == Write(b'{"push":1}')


@pytest.mark.parametrize(
    "frame",
    [
        command(1, subscribe={"channel": "room:a"}),
        command(1, publish={"channel": "room:a", "data": 1}),
        command(1, refresh={"token": "t"}),
        "{}",
        "",
        "[1]",
        '{"id":1}',
        '{"connect":{}}',
        '{"send":{"data":1}}',
        command(1, connect={"name": "n" * 17}),
        command(1, connect={"version": "v" * 65}),
    ],
)
def test_anything_but_a_sound_connect_closes_3501(frame: str):
    session = new_session()
    assert closes(session.receive(frame, 0.0)) == [3501]
    assert session.receive(command(1, connect={}), 0.0) == []


@pytest.mark.parametrize(
    "frame",
    [
        command(2, connect={}),
        "{}",
        "not json",
        command(2),
        command(2, ping={}),
        command(0, subscribe={"channel": "room:a"}),
        command(2, subscribe={"channel": ""}),
        command(2, unsubscribe={}),
        command(2, publish={"data": 1}),
        command(2, history={}),
        command(2, refresh={}),
    ],
)
def test_a_connected_client_that_breaks_the_protocol_is_closed_3501(frame: str):
    assert closes(connected().receive(frame, 0.0)) == [3501]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"subscribe": {"channel": "nope:x"}}, 102),
        ({"subscribe": {"channel": "room"}}, 102),
        ({"subscribe": {"channel": "taps:bob"}}, 103),
        ({"subscribe": {"channel": "taps:ann"}}, 105),
        ({"subscribe": {"channel": "room:" + "a" * 16}}, 107),
        ({"subscribe": {"channel": "room:a b"}}, 107),
        ({"subscribe": {"channel": "room:ä"}}, 107),
        ({"subscribe": {"channel": "room:a", "type": 1}}, 108),
        ({"subscribe": {"channel": "room:a", "tf": {"key": "k"}}}, 107),
        ({"publish": {"channel": "nope:x", "data": 1}}, 102),
        ({"publish": {"channel": "taps:ann", "data": 1}}, 103),
        ({"publish": {"channel": "open:a", "data": 1}}, 103),
        ({"history": {"channel": "nope:x"}}, 102),
        ({"history": {"channel": "room:a"}}, 103),
        ({"presence": {"channel": "room:a"}}, 108),
        ({"presence_stats": {"channel": "room:a"}}, 108),
        ({"rpc": {"method": "m"}}, 108),
        ({"sub_refresh": {"channel": "room:a", "token": "t"}}, 108),
    ],
)
def test_a_refused_command_has_its_code_and_changes_nothing(request_: dict[str, Any], code: int):
    session = connected()
    effects = session.receive(command(2, **request_), 0.0)
    (reply,) = answers(effects)
    assert len(effects) == 1
    assert (reply["id"], reply["error"]["code"]) == (2, code)
    assert session.subscriptions == {"taps:ann": True}


def test_history_of_a_channel_is_its_namespaces_decision():
    session = subscribed("shut:a")
    (reply,) = answers(session.receive(command(3, history={"channel": "shut:a"}), 0.0))
    assert reply["error"]["code"] == 103
    session = subscribed("open:a")
    (reply,) = answers(session.receive(command(3, history={"channel": "open:a"}), 0.0))
    assert reply["error"]["code"] == 108


def test_a_client_may_have_so_many_channels_and_no_more():
    session = connected()
    for number, name in enumerate(("open:a", "open:b"), start=2):
        session.receive(command(number, subscribe={"channel": name}), 0.0)
        session.joined({name: Joined(SubscribeResult(), [])}, 1000)
    (reply,) = answers(session.receive(command(4, subscribe={"channel": "open:c"}), 0.0))
    assert reply["error"]["code"] == 106
    session.receive(command(5, unsubscribe={"channel": "open:a"}), 0.0)
    (join,) = session.receive(command(6, subscribe={"channel": "open:c"}), 0.0)
    assert isinstance(join, Join)


def test_subscribing_asks_the_application_and_recovers_as_told():
    session = connected()
    request = {"channel": "room:a", "recover": True, "offset": 4, "epoch": "e", "flag": 2}
    (join,) = session.receive(command(2, subscribe=request), 0.0)
    assert isinstance(join, Join)
    (asked,) = join.requests
    assert asked.ask
    assert asked.reject_unrecovered
    assert asked.since == StreamPosition(4, "e")


def test_a_failed_subscribe_leaves_no_trace():
    session = connected()
    session.receive(command(2, subscribe={"channel": "room:a"}), 0.0)
    (reply,) = answers(session.refused(codes.PERMISSION_DENIED))
    assert reply == {"id": 2, "error": {"code": 103, "message": "permission denied"}}
    assert "room:a" not in session.subscriptions


def test_commands_wait_for_the_one_under_way_and_keep_their_order():
    session = connected()
    frame = "\n".join(
        (
            command(2, subscribe={"channel": "room:a"}),
            command(3, unsubscribe={"channel": "room:a"}),
            command(4, rpc={"method": "m"}),
        )
    )
    (join,) = session.receive(frame, 0.0)
    assert isinstance(join, Join)
    assert session.backlog == 2
    effects = session.joined({"room:a": Joined(SubscribeResult(), [])}, 1000)
    assert [reply["id"] for reply in answers(effects)] == [2, 3, 4]
    assert Leave("room:a") in effects
    assert session.backlog == 0


def test_a_frame_of_thousands_of_commands_is_answered_without_recursion():
    session = connected()
    frame = "\n".join(command(number, rpc={}) for number in range(2, 5002))
    assert len(answers(session.receive(frame, 0.0))) == 5000


def test_publishing_needs_permission_a_subscription_and_data():
    session = subscribed("open:a")
    (effect,) = session.receive(command(3, publish={"channel": "open:a", "data": {"n": 1}}), 0.0)
    assert isinstance(effect, PublishData)
    assert json.loads(effect.data) == {"n": 1}
    assert json.loads(effect.info) == {"user": "ann", "client": "client-1"}
    assert answers(session.published()) == [{"id": 3, "publish": {}}]
    (reply,) = answers(session.receive(command(4, publish={"channel": "open:a"}), 0.0))
    assert reply["error"]["code"] == 107


@pytest.mark.parametrize(("limit", "asked"), [(0, 0), (5, 5), (1000, 300), (-1, 300)])
def test_history_is_capped(limit: int, asked: int):
    session = subscribed()
    request = {"channel": "room:a", "limit": limit, "since": {"offset": 1, "epoch": "e"}}
    assert session.receive(command(3, history=request), 0.0) == [
        ReadHistory(channel="room:a", since=1, limit=asked, reverse=False)
    ]


def test_history_answers_with_publications_and_position():
    session = subscribed()
    session.receive(command(3, history={"channel": "room:a", "limit": 1, "reverse": True}), 0.0)
    found = History([Publication(b'{"data":2}', 2)], StreamPosition(2, "e"))
    assert answers(session.history_read(found)) == [
        {
            "id": 3,
            "history": {"publications": [{"data": 2, "offset": 2}], "epoch": "e", "offset": 2},
        }
    ]


def test_history_since_another_epoch_is_unrecoverable():
    session = subscribed()
    request = {"channel": "room:a", "limit": 1, "since": {"offset": 1, "epoch": "old"}}
    session.receive(command(3, history=request), 0.0)
    (reply,) = answers(session.history_read(History([], StreamPosition(2, "e"))))
    assert reply["error"]["code"] == 112


def test_a_worthless_token_closes_3500():
    session = new_session()
    session.receive(command(1, connect={"token": "bad"}), 0.0)
    assert closes(session.token_invalid()) == [3500]


def test_an_expired_token_is_answered_109_and_the_socket_is_of_no_more_use():
    session = new_session()
    session.receive(command(1, connect={"token": "old"}), 0.0)
    (reply,) = answers(session.token_expired())
    assert reply["error"] == {"code": 109, "message": "token expired"}
    assert session.state is SessionState.REFUSED
    assert closes(session.receive(command(2, connect={}), 0.0)) == [3501]


def test_a_token_that_expires_on_the_way_counts_as_expired():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    (reply,) = answers(session.authenticated(ConnectClaims(user="a", expires_at=1000), 0.0, 1000))
    assert reply["error"]["code"] == 109


def test_trouble_while_verifying_is_a_temporary_error():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    (reply,) = answers(session.refused(codes.INTERNAL))
    assert reply["error"] == {
        "code": 100,
        "message": "internal server error",
        "temporary": True,
    }


def test_trouble_while_joining_personal_channels_sends_the_client_away_to_come_back():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    session.authenticated(ANN, 0.0, 1000)
    assert closes(session.refused(codes.INTERNAL)) == [3004]


def test_refreshing_moves_the_moment_of_expiry():
    session = connected(ConnectClaims(user="ann", expires_at=1010))
    (asked,) = session.receive(command(2, refresh={"token": "new"}), 5.0)
    assert asked == Authenticate("new")
    (reply,) = answers(session.authenticated(ConnectClaims(user="ann", expires_at=1100), 5.0, 1005))
    assert reply == {"id": 2, "refresh": {"client": "client-1", "expires": True, "ttl": 95}}
    session.on_time(30.0)
    session.receive("{}", 30.0)
    assert closes(session.on_time(40.0)) == []
    assert closes(session.on_time(5.0 + 95 + 25)) == [3005]


def test_a_connection_that_does_not_refresh_is_closed_3005_after_the_delay():
    session = connected(ConnectClaims(user="ann", expires_at=1010))
    assert closes(session.on_time(10.0 + 24.9)) == []
    session.receive("{}", 34.9)
    assert closes(session.on_time(10.0 + 25)) == [3005]


def test_refreshing_with_an_expired_token_closes_3005_so_that_the_client_comes_back():
    session = connected(ConnectClaims(user="ann", expires_at=1010))
    session.receive(command(2, refresh={"token": "old"}), 5.0)
    assert closes(session.token_expired()) == [3005]


def test_refreshing_as_somebody_else_closes_3500():
    session = connected()
    session.receive(command(2, refresh={"token": "bob"}), 5.0)
    assert closes(session.authenticated(ConnectClaims(user="bob"), 5.0, 1005)) == [3500]


def test_who_does_not_connect_in_time_is_closed_3502():
    session = new_session()
    assert session.on_time(14.9) == []
    assert session.deadline == 15.0
    assert closes(session.on_time(15.0)) == [3502]


def test_pings_are_answered_or_the_connection_is_closed_3012():
    session = connected()
    assert session.deadline == 25.0
    assert session.on_time(25.0) == [Write(b"{}")]
    assert session.deadline == 33.0
    assert session.receive("{}", 26.0) == []
    assert session.deadline == 50.0
    assert session.on_time(50.0) == [Write(b"{}")]
    assert closes(session.on_time(58.0)) == [3012]


def test_a_second_pong_to_one_ping_is_one_too_many():
    session = connected()
    session.on_time(25.0)
    assert closes(session.receive("{}\n{}", 26.0)) == [3501]


def test_the_first_ping_comes_at_a_moment_of_its_own():
    session = Session("c", SETTINGS, NAMESPACES, JSON, now=0.0, jitter=0.2)
    session.receive(command(1, connect={}), 0.0)
    session.authenticated(ANN, 0.0, 1000)
    session.joined({"taps:ann": Joined(SubscribeResult(), [])}, 1000)
    assert session.deadline == pytest.approx(5.0)


def test_sending_data_nobody_handles_closes_3508():
    assert closes(connected().receive('{"send":{"data":1}}', 0.0)) == [3508]


def test_missed_publications_end_a_client_subscription_with_2500():
    session = subscribed()
    effects = session.lost_state("room:a")
    assert effects[0] == Leave("room:a")
    assert answers(effects) == [
        {
            "push": {
                "channel": "room:a",
                "unsubscribe": {"code": 2500, "reason": "insufficient state"},
            }
        }
    ]
    (join,) = session.receive(command(3, subscribe={"channel": "room:a"}), 0.0)
    assert isinstance(join, Join)


def test_missed_publications_of_a_server_subscription_close_3010():
    assert closes(connected().lost_state("taps:ann")) == [3010]


def test_nothing_is_done_for_a_session_that_is_over():
    session = connected()
    session.receive(command(2, subscribe={"channel": "room:a"}), 0.0)
    session.connection_lost()
    assert session.joined({"room:a": Joined(SubscribeResult(), [])}, 1000) == []
    assert session.authenticated(ANN, 0.0, 1000) == []
    assert session.on_time(1000.0) == []
    assert session.lost_state("room:a") == []
    assert session.refused(codes.INTERNAL) == []
    assert session.close(codes.CLOSE_SHUTDOWN) == []
