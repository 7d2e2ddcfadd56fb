"""The session core, table by table: what each input makes it do."""

import json
from typing import Any

import pytest
from msgspec import structs

from core import config
from hub.realtime import codes
from hub.realtime.broker import History, Publication, StreamPosition
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import ConnectRequest, SubscribeResult
from hub.realtime.sessions.commands import channels, connect, subscribe
from hub.realtime.sessions.effects import (
    Authenticate,
    Effect,
    Join,
    Joined,
    Leave,
    PublishData,
    ReadHistory,
    Refused,
    Write,
)
from hub.realtime.sessions.session import Session, SessionState
from hub.realtime.tokens.claims import ConnectClaims
from tests.hub.realtime.sessions.house import (
    ANN,
    RULES,
    answers,
    closes,
    command,
    connected,
    new_session,
    subscribed,
)


def test_connect_authenticates_joins_personal_channels_and_answers():
    session = new_session()
    assert session.receive(command(1, connect={"token": "t"}), 0.0) == [
        Authenticate("t", ConnectRequest(token="t"))
    ]
    (asked,) = connect.authenticated(session, ConnectClaims(user="ann", expires_at=1600), 0.0, 1000)
    assert isinstance(asked, Join)
    assert [(item.channel, item.ask) for item in asked.requests] == [("taps:ann", False)]
    (reply,) = answers(
        subscribe.joined(session, {"taps:ann": Joined(SubscribeResult(), [])}, 0.0, 1000)
    )
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
    (asked,) = connect.authenticated(session, ANN, 0.0, 1000)
    assert isinstance(asked, Join)
    (request,) = asked.requests
    assert (request.channel, request.since) == ("taps:ann", StreamPosition(5, "e"))


def test_pushes_that_arrived_meanwhile_follow_the_connect_reply():
    session = new_session()
    session.receive(command(1, connect={}), 0.0)
    connect.authenticated(session, ANN, 0.0, 1000)
    reply, late = subscribe.joined(
        session, {"taps:ann": Joined(SubscribeResult(), [b'{"push":1}'])}, 0.0, 1000
    )
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
        command(2, presence={}),
        command(2, presence_stats={}),
        command(2, refresh={}),
        command(2, sub_refresh={"token": "t"}),
        command(2, sub_refresh={"channel": "taps:ann", "token": "t"}),
        command(2, subscribe={"channel": "room:a", "delta": "xdelta"}),
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
        ({"subscribe": {"channel": "$room:a"}}, 103),
        ({"subscribe": {"channel": "free:a#bob"}}, 103),
        ({"subscribe": {"channel": "json:a"}}, 103),
        ({"subscribe": {"channel": "taps:ann"}}, 105),
        ({"subscribe": {"channel": "room:" + "a" * 16}}, 107),
        ({"subscribe": {"channel": "room:a\n"}}, 107),
        ({"subscribe": {"channel": "room:ä"}}, 107),
        ({"subscribe": {"channel": "room:a", "tf": {"key": "k", "cmp": "ex"}}}, 107),
        ({"subscribe": {"channel": "free:a", "tf": {"key": "k", "cmp": "?"}}}, 107),
        ({"subscribe": {"channel": "room:a", "type": 1}}, 108),
        ({"publish": {"channel": "nope:x", "data": 1}}, 102),
        ({"publish": {"channel": "taps:ann", "data": 1}}, 103),
        ({"publish": {"channel": "open:a", "data": 1}}, 103),
        ({"publish": {"channel": "free:a"}}, 107),
        ({"publish": {"channel": "free:ä", "data": 1}}, 107),
        ({"publish": {"channel": "json:a", "data": [1]}}, 107),
        ({"publish": {"channel": "free:a", "data": 1, "type": 1}}, 108),
        ({"history": {"channel": "nope:x"}}, 102),
        ({"history": {"channel": "room:a"}}, 103),
        ({"history": {"channel": "free:ä"}}, 107),
        ({"history": {"channel": "open:a"}}, 108),
        ({"presence": {"channel": "nope:x"}}, 102),
        ({"presence": {"channel": "open:a"}}, 103),
        ({"presence": {"channel": "free:ä"}}, 107),
        ({"presence": {"channel": "room:a"}}, 108),
        ({"presence_stats": {"channel": "nope:x"}}, 102),
        ({"presence_stats": {"channel": "open:a"}}, 103),
        ({"presence_stats": {"channel": "room:a"}}, 108),
        ({"rpc": {"method": "unknown"}}, 104),
        ({"sub_refresh": {"channel": "room:a", "token": "t"}}, 103),
    ],
)
def test_a_refused_command_has_its_code_and_changes_nothing(request_: dict[str, Any], code: int):
    session = connected()
    before = dict(session.subscriptions)
    effects = session.receive(command(2, **request_), 0.0)
    (reply,) = answers(effects)
    assert len(effects) == 2
    assert isinstance(effects[0], Refused)
    assert (reply["id"], reply["error"]["code"]) == (2, code)
    assert session.subscriptions == before
    assert session.is_connected


def test_a_client_may_have_so_many_channels_and_no_more():
    session = connected()
    for number, name in enumerate(("open:a", "open:b"), start=2):
        session.receive(command(number, subscribe={"channel": name}), 0.0)
        subscribe.joined(session, {name: Joined(SubscribeResult(), [])}, 0.0, 1000)
    (reply,) = answers(session.receive(command(4, subscribe={"channel": "open:c"}), 0.0))
    assert reply["error"]["code"] == 106
    session.receive(command(5, unsubscribe={"channel": "open:a"}), 0.0)
    (asked,) = session.receive(command(6, subscribe={"channel": "open:c"}), 0.0)
    assert isinstance(asked, Join)


def test_subscribing_asks_the_application_and_recovers_as_told():
    session = connected()
    request = {"channel": "room:a", "recover": True, "offset": 4, "epoch": "e", "flag": 2}
    (asked,) = session.receive(command(2, subscribe=request), 0.0)
    assert isinstance(asked, Join)
    (asked,) = asked.requests
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
            command(4, rpc={"method": "unknown"}),
        )
    )
    (asked,) = session.receive(frame, 0.0)
    assert isinstance(asked, Join)
    assert session.backlog == 2
    effects = subscribe.joined(session, {"room:a": Joined(SubscribeResult(), [])}, 0.0, 1000)
    assert [reply["id"] for reply in answers(effects)] == [2, 3, 4]
    assert [item.channel for item in effects if isinstance(item, Leave)] == ["room:a"]
    assert session.backlog == 0


def test_a_frame_of_thousands_of_commands_is_answered_without_recursion():
    session = connected()
    frame = "\n".join(
        command(number, unsubscribe={"channel": "room:a"}) for number in range(2, 1902)
    )
    assert len(answers(session.receive(frame, 0.0))) == 1900


def test_publishing_needs_permission_a_subscription_and_data():
    session = subscribed("open:a")
    (effect,) = session.receive(command(3, publish={"channel": "open:a", "data": {"n": 1}}), 0.0)
    assert isinstance(effect, PublishData)
    assert json.loads(effect.data) == {"n": 1}
    assert json.loads(effect.info) == {"user": "ann", "client": "client-1"}
    assert answers(channels.published(session)) == [{"id": 3, "publish": {}}]
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
    assert answers(channels.history_read(session, found)) == [
        {
            "id": 3,
            "history": {"publications": [{"data": 2, "offset": 2}], "epoch": "e", "offset": 2},
        }
    ]


def test_history_since_another_epoch_is_unrecoverable():
    session = subscribed()
    request = {"channel": "room:a", "limit": 1, "since": {"offset": 1, "epoch": "old"}}
    session.receive(command(3, history=request), 0.0)
    (reply,) = answers(channels.history_read(session, History([], StreamPosition(2, "e"))))
    assert reply["error"]["code"] == 112


def test_a_worthless_token_closes_3500():
    session = new_session()
    session.receive(command(1, connect={"token": "bad"}), 0.0)
    assert closes(connect.token_invalid(session)) == [3500]


def test_an_expired_token_is_answered_109_and_the_socket_is_of_no_more_use():
    session = new_session()
    session.receive(command(1, connect={"token": "old"}), 0.0)
    (reply,) = answers(connect.token_expired(session))
    assert reply["error"] == {"code": 109, "message": "token expired"}
    assert session.state is SessionState.REFUSED
    assert closes(session.receive(command(2, connect={}), 0.0)) == [3501]


def test_a_token_that_expires_on_the_way_counts_as_expired():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    (reply,) = answers(
        connect.authenticated(session, ConnectClaims(user="a", expires_at=1000), 0.0, 1000)
    )
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
    connect.authenticated(session, ANN, 0.0, 1000)
    assert closes(session.refused(codes.INTERNAL)) == [3004]


def test_refreshing_moves_the_moment_of_expiry():
    session = connected(ConnectClaims(user="ann", expires_at=1010))
    (asked,) = session.receive(command(2, refresh={"token": "new"}), 5.0)
    assert asked == Authenticate("new", ConnectRequest(token="new"))
    (reply,) = answers(
        connect.authenticated(session, ConnectClaims(user="ann", expires_at=1100), 5.0, 1005)
    )
    assert reply == {"id": 2, "refresh": {"expires": True, "ttl": 95}}
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
    assert closes(connect.token_expired(session)) == [3005]


def test_refreshing_as_somebody_else_closes_3500():
    session = connected()
    session.receive(command(2, refresh={"token": "bob"}), 5.0)
    assert closes(connect.authenticated(session, ConnectClaims(user="bob"), 5.0, 1005)) == [3500]


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
    session = Session("c", RULES, JSON, now=0.0, jitter=0.2)
    session.receive(command(1, connect={}), 0.0)
    connect.authenticated(session, ANN, 0.0, 1000)
    subscribe.joined(session, {"taps:ann": Joined(SubscribeResult(), [])}, 0.0, 1000)
    assert session.deadline == pytest.approx(5.0)


def test_missed_publications_end_a_client_subscription_with_2500():
    session = subscribed()
    effects = subscribe.lost_state(session, "room:a")
    assert isinstance(effects[0], Leave)
    assert answers(effects) == [
        {
            "push": {
                "channel": "room:a",
                "unsubscribe": {"code": 2500, "reason": "insufficient state"},
            }
        }
    ]
    (asked,) = session.receive(command(3, subscribe={"channel": "room:a"}), 0.0)
    assert isinstance(asked, Join)


def test_missed_publications_of_a_server_subscription_close_3010():
    assert closes(subscribe.lost_state(connected(), "taps:ann")) == [3010]


def test_nothing_is_done_for_a_session_that_is_over():
    session = connected()
    session.receive(command(2, subscribe={"channel": "room:a"}), 0.0)
    session.connection_lost()
    assert subscribe.joined(session, {"room:a": Joined(SubscribeResult(), [])}, 0.0, 1000) == []
    assert connect.authenticated(session, ANN, 0.0, 1000) == []
    assert session.on_time(1000.0) == []
    assert subscribe.lost_state(session, "room:a") == []
    assert session.refused(codes.INTERNAL) == []
    assert session.close(codes.CLOSE_SHUTDOWN) == []


def test_a_client_over_its_limit_is_refused_111_in_order_and_closed_3013_if_that_does_not_help():
    settings = config.Realtime(max_commands_per_second=10, commands_burst=20)
    session = connected(rules=structs.replace(RULES, settings=settings))

    def burst(first: int, count: int, now: float) -> list[Effect]:
        frame = "\n".join(
            command(number, unsubscribe={"channel": "x"}) for number in range(first, first + count)
        )
        return session.receive(frame, now)

    # The connect command counts too.
    replies = answers(burst(2, 22, 0.0))
    assert [reply["id"] for reply in replies] == list(range(2, 24))
    assert [reply["id"] for reply in replies if "error" in reply] == [21, 22, 23]
    assert replies[-1]["error"] == {"code": 111, "message": "too many requests", "temporary": True}
    # Two seconds of leaking make room for twenty more.
    assert all("error" not in reply for reply in answers(burst(24, 17, 2.0)))
    assert closes(burst(50, 40, 2.0)) == [3013]


def test_sent_data_over_the_limit_is_let_fall():
    settings = config.Realtime(max_commands_per_second=1, commands_burst=1)
    session = connected(rules=structs.replace(RULES, settings=settings))
    assert session.receive('{"send":{"data":1}}', 0.0) == []
    assert session.is_connected


def test_a_client_whose_commands_are_all_wrong_is_closed_3509():
    settings = config.Realtime(max_errors_in_row=3)
    session = connected(rules=structs.replace(RULES, settings=settings))
    wrong = {"subscribe": {"channel": "nope:x"}}
    for number in range(3):
        assert len(answers(session.receive(command(2 + number, **wrong), 0.0))) == 1
    # One good command is enough to go on.
    session.receive(command(5, unsubscribe={"channel": "x"}), 0.0)
    for number in range(3):
        assert len(answers(session.receive(command(6 + number, **wrong), 0.0))) == 1
    assert closes(session.receive(command(9, **wrong), 0.0)) == [3509]


def test_temporary_errors_do_not_count_as_the_clients():
    settings = config.Realtime(max_errors_in_row=1)
    session = connected(rules=structs.replace(RULES, settings=settings))
    for number in range(5):
        session.receive(command(2 + number, subscribe={"channel": "room:a"}), 0.0)
        (reply,) = answers(session.refused(codes.INTERNAL))
        assert reply["error"]["code"] == 100


def test_idle_sessions_hold_no_queue():
    session = connected()
    assert session._inbox is None  # the memory of thousands of idle connections
    assert session.backlog == 0


def test_data_of_the_application_is_pushed_once_connected():
    assert new_session().message(b'{"n":1}') == []
    assert answers(connected().message(b'{"n":1}')) == [{"push": {"message": {"data": {"n": 1}}}}]
