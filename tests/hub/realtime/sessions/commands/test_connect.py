"""Connecting and renewing tokens: what is joined, refused, and told."""

import json

import pytest
from msgspec import Raw, structs

from core import config
from hub.realtime.broker import StreamPosition
from hub.realtime.sessions.commands import connect, orders
from hub.realtime.sessions.effects import Join
from hub.realtime.sessions.session import Session, SessionState
from hub.realtime.tokens.claims import ConnectClaims, SubscribeOptions
from tests.hub.realtime.sessions.house import (
    NOBODY,
    RULES,
    SETTINGS,
    answers,
    closes,
    command,
    connected,
    join,
    new_session,
)


def joined_at_connect(session: Session, claims: ConnectClaims, **request: object) -> Join:
    session.receive(command(1, connect={"token": "t", **request}), 0.0)
    (asked,) = connect.authenticated(session, claims, 0.0, 1000)
    assert isinstance(asked, Join)
    return asked


def test_the_channels_that_a_token_names_are_joined_with_its_options():
    claims = ConnectClaims(
        user="ann",
        subs={
            "open:a": SubscribeOptions(info=Raw(b'"i"'), data=Raw(b"1"), presence=False),
            "free:b": SubscribeOptions(force_recovery=True),
        },
    )
    session = new_session()
    asked = {item.channel: item.terms for item in joined_at_connect(session, claims).requests}
    assert list(asked) == ["open:a", "free:b", "taps:ann"]
    assert (asked["open:a"].presence, asked["open:a"].announced) == (False, True)
    assert bytes(asked["open:a"].info) == b'"i"'
    assert (asked["free:b"].recoverable, asked["free:b"].positioned) == (True, True)
    (reply,) = answers(join(session, *asked))
    assert reply["connect"]["subs"] == {"open:a": {"data": 1}, "free:b": {}, "taps:ann": {}}


def test_recovery_cannot_be_forced_on_a_channel_without_history():
    claims = ConnectClaims(user="", subs={"open:a": SubscribeOptions(force_recovery=True)})
    (item,) = joined_at_connect(new_session(), claims).requests
    assert not item.terms.recoverable
    assert not item.terms.positioned


def test_channels_by_name_are_joined_as_their_namespaces_say():
    claims = ConnectClaims(user="", channels=("open:a",))
    (item,) = joined_at_connect(new_session(), claims).requests
    assert (item.channel, item.terms.presence) == ("open:a", True)


def test_a_token_that_names_an_unknown_channel_is_refused_102_and_the_socket_is_of_no_more_use():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    claims = ConnectClaims(user="ann", channels=("nope:a",))
    (reply,) = answers(connect.authenticated(session, claims, 0.0, 1000))
    assert reply["error"]["code"] == 102
    assert session.state is SessionState.REFUSED
    assert closes(session.receive(command(2, connect={}), 0.0)) == [3501]


def test_requested_channels_that_the_client_may_join_come_with_the_connection():
    known = {
        "free:a": {"recover": True, "offset": 3, "epoch": "e"},
        "cache:a": {"recover": True, "offset": 3, "epoch": "e"},
        "room:a": {},
        "free:a#bob": {},
        "$free:a": {},
        "taps:bob": {},
    }
    session = new_session(structs.replace(RULES, settings=config.Realtime()))
    asked = {
        item.channel: item
        for item in joined_at_connect(session, ConnectClaims(user="ann"), subs=known).requests
    }
    assert set(asked) == {"taps:ann", "free:a", "cache:a"}
    # The namespace does not force recovery, and nothing here asks for it.
    assert (asked["free:a"].recovering, asked["free:a"].since) == (True, None)
    assert (asked["cache:a"].as_cache, asked["cache:a"].since) == (True, StreamPosition(3, "e"))


def test_requesting_an_unknown_channel_closes_3501():
    session = new_session()
    session.receive(command(1, connect={"token": "t", "subs": {"nope:a": {}}}), 0.0)
    assert closes(connect.authenticated(session, NOBODY, 0.0, 1000)) == [3501]


def test_more_channels_than_a_connection_may_have_close_3505():
    session = new_session()
    session.receive(command(1, connect={"token": "t"}), 0.0)
    claims = ConnectClaims(user="ann", channels=("open:a", "open:b", "open:c"))
    assert closes(connect.authenticated(session, claims, 0.0, 1000)) == [3505]


def test_an_anonymous_client_joins_what_anonymous_clients_may():
    session = new_session()
    asked = joined_at_connect(session, NOBODY, subs={"free:a": {}, "open:a": {}})
    assert [item.channel for item in asked.requests] == ["free:a"]
    (reply,) = answers(join(session, "free:a"))
    assert "expires" not in reply["connect"]


def test_a_client_that_forgot_its_token_where_one_is_needed_is_closed_3501():
    session = new_session()
    session.receive(command(1, connect={}), 0.0)
    assert closes(connect.token_invalid(session)) == [3501]


def test_an_emulated_connection_learns_its_session_and_node_and_everybody_the_version():
    session = new_session(structs.replace(RULES, version="1.2"), secret="s3")
    joined_at_connect(session, NOBODY)
    (reply,) = answers(join(session))
    assert reply["connect"] == {
        "client": "client-1",
        "version": "1.2",
        "ping": 25,
        "pong": True,
        "session": "s3",
        "node": "node-1",
    }


def test_data_of_the_application_comes_with_the_reply():
    session = new_session()
    joined_at_connect(session, ConnectClaims(user="", data=Raw(b'{"n":1}')))
    (reply,) = answers(join(session))
    assert reply["connect"]["data"] == {"n": 1}


def refresh(session: Session, claims: ConnectClaims) -> list[object]:
    session.receive(command(9, refresh={"token": "new"}), 5.0)
    return list(connect.authenticated(session, claims, 5.0, 1005))


def test_a_new_token_keeps_the_info_that_it_does_not_mention():
    session = connected(ConnectClaims(user="ann", info=Raw(b'"old"')))
    refresh(session, ConnectClaims(user="ann", expires_at=1100))
    assert session.claims
    assert bytes(session.claims.info) == b'"old"'
    refresh(session, ConnectClaims(user="ann", info=Raw(b'"new"')))
    assert bytes(session.claims.info) == b'"new"'


def test_a_token_without_expiry_ends_the_expiry():
    session = connected(ConnectClaims(user="ann", expires_at=1010))
    session.receive(command(9, refresh={"token": "new"}), 5.0)
    (reply,) = answers(connect.authenticated(session, ConnectClaims(user="ann"), 5.0, 1005))
    assert reply == {"id": 9, "refresh": {}}
    assert session.expires_at == 0.0


@pytest.mark.parametrize("names", [(), ("open:b",), ("open:a", "open:b")])
def test_a_new_token_with_other_channels_closes_3010_to_be_joined_anew(names: tuple[str, ...]):
    session = connected(ConnectClaims(user="ann", channels=("open:a",)))
    session.receive(command(9, refresh={"token": "new"}), 5.0)
    claims = ConnectClaims(user="ann", channels=names)
    assert closes(connect.authenticated(session, claims, 5.0, 1005)) == [3010]


def test_a_new_token_with_the_same_channels_changes_nothing_else():
    session = connected(ConnectClaims(user="ann", channels=("open:a",)))
    session.receive(command(9, refresh={"token": "new"}), 5.0)
    claims = ConnectClaims(user="ann", channels=("open:a",))
    assert answers(connect.authenticated(session, claims, 5.0, 1005))[0]["refresh"] == {}
    assert set(session.subscriptions) == {"open:a", "taps:ann"}


def given(expires_at: int, info: bytes = b"") -> orders.Refresh:
    return orders.Refresh(expires_at=expires_at, info=Raw(info), now=5.0, unix_now=1000)


def test_the_server_may_refresh_a_connection_unasked():
    session = connected()
    (reply,) = answers(session.obey(given(1060, b'"new"')))
    assert reply == {"push": {"refresh": {"expires": True, "ttl": 60}}}
    assert session.expires_at == 5.0 + 60 + SETTINGS.expired_close_delay_seconds
    assert session.claims
    assert bytes(session.claims.info) == b'"new"'
    assert answers(session.obey(given(0))) == [{"push": {"refresh": {}}}]
    assert session.expires_at == 0.0


def test_a_refresh_into_the_past_ends_the_connection_3005():
    assert closes(connected().obey(given(1000))) == [3005]


def test_orders_wait_for_the_reply_to_connect():
    session = new_session()
    joined_at_connect(session, ConnectClaims(user="ann"))
    assert session.obey(given(1060)) == []
    messages = answers(join(session, "taps:ann"))
    assert [list(item)[-1] for item in messages] == ["connect", "push"]
    assert json.dumps(messages[0]).find("1060") < 0


def test_a_life_longer_than_the_protocol_can_say_is_told_as_the_longest():
    session = connected()
    order = orders.Refresh(expires_at=1 << 62, now=0.0, unix_now=1000)
    (push,) = answers(session.obey(order))
    assert push["push"]["refresh"] == {"expires": True, "ttl": (1 << 32) - 1}


def test_channels_with_names_that_are_too_long_are_left_out_at_connect():
    asked = joined_at_connect(
        new_session(), ConnectClaims(user="ann"), subs={"open:a": {}, "open:" + "a" * 16: {}}
    )
    assert [item.channel for item in asked.requests] == ["taps:ann", "open:a"]


SIGNED_IN = ConnectClaims(user="ann", session_id="s-1")


def test_channels_of_those_who_signed_in_are_joined_by_nobody_else():
    asked = joined_at_connect(new_session(), SIGNED_IN)
    assert [item.channel for item in asked.requests] == ["taps:ann", "mine:ann"]
    asked = joined_at_connect(
        new_session(), ConnectClaims(user="ann"), subs={"mine:ann": {}, "ours:a": {}}
    )
    assert [item.channel for item in asked.requests] == ["taps:ann"]


@pytest.mark.parametrize("channel", ["mine:ann", "mine:bob", "ours:a", "$mine:bob"])
@pytest.mark.parametrize("claims", [SIGNED_IN, ConnectClaims(user="ann")])
def test_a_token_that_names_channels_of_those_who_signed_in_connects_nobody(
    claims: ConnectClaims, channel: str
):
    for named in ({"channels": (channel,)}, {"subs": {channel: SubscribeOptions()}}):
        session = new_session()
        session.receive(command(1, connect={"token": "t"}), 0.0)
        effects = connect.authenticated(session, structs.replace(claims, **named), 0.0, 1000)
        assert answers(effects)[0]["error"]["code"] == 103
        assert session.subscriptions == {}


@pytest.mark.parametrize(("before", "after"), [("s-1", ""), ("", "s-1")])
def test_a_connection_is_not_renewed_by_a_token_of_another_kind(before: str, after: str):
    session = connected(ConnectClaims(user="ann", session_id=before))
    session.receive(command(9, refresh={"token": "new"}), 5.0)
    claims = ConnectClaims(user="ann", session_id=after)
    assert closes(connect.authenticated(session, claims, 5.0, 1005)) == [3500]
