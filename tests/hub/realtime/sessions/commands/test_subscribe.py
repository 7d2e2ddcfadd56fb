"""Subscribing: tokens, terms, expiry, and what the server does to subscriptions unasked."""

from typing import Any

import pytest
from msgspec import Raw, structs

from hub.realtime import codes
from hub.realtime.broker import StreamPosition
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.sessions.commands import connect, orders, subscribe
from hub.realtime.sessions.effects import (
    Effect,
    Join,
    Joined,
    JoinRequest,
    Leave,
    VerifySubscription,
)
from hub.realtime.sessions.session import Session
from hub.realtime.tokens.claims import ConnectClaims, SubscribeClaims, SubscribeOptions
from tests.hub.realtime.sessions.house import (
    ANN,
    NOBODY,
    RULES,
    answers,
    closes,
    command,
    connected,
    join,
    new_session,
    subscribed,
)


def asked(effects: list[Effect]) -> JoinRequest:
    (effect,) = effects
    assert isinstance(effect, Join)
    (request,) = effect.requests
    return request


def subscribe_to(channel: str, session: Session | None = None, **request: Any) -> list[Effect]:
    session = session or connected()
    return session.receive(command(2, subscribe={"channel": channel, **request}), 0.0)


def claims_for(channel: str, **options: Any) -> SubscribeClaims:
    return SubscribeClaims(user="ann", channel=channel, options=SubscribeOptions(**options))


def by_token(channel: str, claims: SubscribeClaims, session: Session) -> list[Effect]:
    (effect,) = subscribe_to(channel, session, token="t")
    assert effect == VerifySubscription("t")
    return subscribe.verified(session, claims, 0.0, 1000)


@pytest.mark.parametrize(
    ("user", "channel", "code"),
    [
        ("ann", "free:a#ann", 0),
        ("ann", "free:a#bob,ann", 0),
        ("ann", "free:a#bob", 103),
        ("", "free:a#", 103),
        ("", "free:a", 0),
        ("", "user:a", 103),
        ("ann", "user:a", 0),
        ("", "room:a", 0),
        ("ann", "shut:a", 0),
        ("ann", "json:a", 103),
    ],
)
def test_who_may_join_without_a_token(user: str, channel: str, code: int):
    effects = subscribe_to(channel, connected(ConnectClaims(user=user)))
    if code:
        assert answers(effects)[0]["error"]["code"] == code
    else:
        assert asked(effects).channel == channel


def test_an_insecure_hub_lets_everybody_join():
    rules = structs.replace(RULES, insecure=True)
    assert asked(subscribe_to("json:a", connected(NOBODY, rules))).channel == "json:a"


def test_what_the_client_asks_for_is_given_where_the_namespace_allows_it():
    plain = asked(subscribe_to("free:a")).terms
    assert not any((plain.positioned, plain.recoverable, plain.hears_members, plain.delta))
    positioned = asked(subscribe_to("free:a", positioned=True)).terms
    assert (positioned.positioned, positioned.recoverable) == (True, False)
    everything = asked(
        subscribe_to("free:a", positioned=True, recoverable=True, join_leave=True, delta="fossil")
    ).terms
    assert everything.positioned
    assert everything.recoverable
    assert everything.hears_members
    assert everything.delta
    nothing = asked(
        subscribe_to(
            "json:a",
            connected(rules=structs.replace(RULES, insecure=True)),
            recoverable=True,
            join_leave=True,
            delta="fossil",
        )
    ).terms
    assert not any((nothing.recoverable, nothing.hears_members, nothing.delta))


def test_who_may_read_history_may_recover_from_it():
    assert asked(subscribe_to("user:a", recoverable=True)).terms.recoverable
    assert not asked(subscribe_to("shut:a", recoverable=True)).terms.recoverable


def test_a_filter_comes_with_its_subscription_and_without_deltas():
    terms = asked(
        subscribe_to("free:a", tf={"key": "k", "cmp": "eq", "val": "v"}, delta="fossil")
    ).terms
    assert terms.tags_filter
    assert terms.tags_filter({"k": "v"})
    assert not terms.tags_filter({})
    assert not terms.delta


def test_recovering_where_nothing_is_kept_is_told_as_not_recovered():
    request = asked(subscribe_to("open:a", recover=True, offset=3, epoch="e"))
    assert (request.recovering, request.since) == (True, None)


def test_a_cache_recovers_its_newest_publication_and_rejects_nobody():
    request = asked(subscribe_to("cache:a", recover=True, flag=2))
    assert request.as_cache
    assert not request.reject_unrecovered


def test_a_cache_gives_its_newest_publication_unasked_where_its_namespace_says_so():
    request = asked(subscribe_to("news:a"))
    assert (request.recovering, request.since) == (True, StreamPosition())
    request = asked(subscribe_to("cache:a"))
    assert (request.recovering, request.since) == (False, None)


def test_a_private_channel_needs_a_token():
    (reply,) = answers(subscribe_to("$room:a"))
    assert reply["error"]["code"] == 103


def test_a_token_opens_any_channel_on_its_own_terms():
    session = connected()
    claims = claims_for("$json:a", info=Raw(b"1"), data=Raw(b'"hi"'), expires_at=1060)
    request = asked(by_token("$json:a", claims, session))
    assert not request.ask
    assert bytes(request.terms.info) == b"1"
    assert answers(join(session, "$json:a")) == [
        {"id": 2, "subscribe": {"expires": True, "ttl": 60, "data": "hi"}}
    ]


@pytest.mark.parametrize(
    "claims",
    [
        SubscribeClaims(user="bob", channel="json:a"),
        SubscribeClaims(user="ann", channel="json:b"),
        SubscribeClaims(user="ann", channel="json:a", client="other"),
    ],
)
def test_a_token_for_somebody_or_something_else_closes_3500(claims: SubscribeClaims):
    assert closes(by_token("json:a", claims, connected())) == [3500]


def test_a_token_for_this_very_client_is_good():
    claims = SubscribeClaims(user="ann", channel="json:a", client="client-1")
    assert asked(by_token("json:a", claims, connected())).channel == "json:a"


def test_a_subscription_that_is_over_before_it_begins_is_refused_110_and_leaves_no_trace():
    session = connected()
    (reply,) = answers(by_token("json:a", claims_for("json:a", expires_at=1000), session))
    assert reply["error"]["code"] == 110
    assert "json:a" not in session.subscriptions


def test_a_forged_token_is_refused_103_and_an_expired_one_109():
    session = connected()
    subscribe_to("json:a", session, token="bad")
    assert answers(subscribe.token_invalid(session))[0]["error"]["code"] == 103
    subscribe_to("json:a", session, token="old")
    assert answers(subscribe.token_expired(session))[0]["error"]["code"] == 109
    assert "json:a" not in session.subscriptions


def test_commands_behind_a_refused_token_go_on():
    session = connected()
    subscribe_to("json:a", session, token="t")
    session.receive(command(3, unsubscribe={"channel": "x"}), 0.0)
    effects = subscribe.verified(session, claims_for("json:a", expires_at=1), 0.0, 1000)
    assert [item["id"] for item in answers(effects)] == [2, 3]


def with_expiry(expires_at: int = 1010) -> Session:
    session = connected()
    by_token("json:a", claims_for("json:a", expires_at=expires_at), session)
    join(session, "json:a")
    return session


def test_a_subscription_that_is_not_renewed_ends_with_2501_after_the_delay():
    session = with_expiry()
    assert session.on_time(24.9) == []
    session.on_time(25.0)
    session.receive("{}", 25.0)
    assert session.deadline == 35.0
    assert session.on_time(34.9) == []
    left, push = session.on_time(35.0)
    assert isinstance(left, Leave)
    assert answers([push]) == [
        {
            "push": {
                "channel": "json:a",
                "unsubscribe": {"code": 2501, "reason": "subscription expired"},
            }
        }
    ]
    assert session.deadline == 50.0


def test_a_subscription_of_the_server_that_expires_closes_3006():
    claims = ConnectClaims(user="ann", subs={"open:a": SubscribeOptions(expires_at=1010)})
    session = connected(claims)
    session.on_time(25.0)
    session.receive("{}", 25.0)
    assert closes(session.on_time(35.0)) == [3006]


def renew(session: Session, channel: str, token: str = "t") -> list[Effect]:
    return session.receive(command(5, sub_refresh={"channel": channel, "token": token}), 5.0)


def test_a_new_token_renews_a_subscription():
    session = with_expiry()
    assert renew(session, "json:a") == [VerifySubscription("t")]
    claims = claims_for("json:a", expires_at=1100, info=Raw(b"2"))
    assert answers(subscribe.verified(session, claims, 5.0, 1005)) == [
        {"id": 5, "sub_refresh": {"expires": True, "ttl": 95}}
    ]
    assert session.subscriptions_end_at == 5.0 + 95 + 25
    assert bytes(session.subscriptions["json:a"].terms.info) == b"2"
    renew(session, "json:a")
    assert answers(subscribe.verified(session, claims_for("json:a"), 5.0, 1005)) == [
        {"id": 5, "sub_refresh": {}}
    ]
    assert session.subscriptions_end_at == 0.0


def test_renewing_needs_a_token_a_subscription_and_one_of_the_clients_own():
    session = with_expiry()
    assert answers(renew(session, "json:a", ""))[0]["error"]["code"] == 107
    assert answers(renew(session, "json:b"))[0]["error"]["code"] == 103
    assert closes(renew(session, "taps:ann")) == [3501]


def test_renewing_with_a_wrong_token_closes_3500_with_an_old_one_3006():
    session = with_expiry()
    renew(session, "json:a")
    assert closes(subscribe.verified(session, claims_for("json:b"), 5.0, 1005)) == [3500]
    session = with_expiry()
    renew(session, "json:a")
    assert closes(subscribe.token_invalid(session)) == [3500]
    session = with_expiry()
    renew(session, "json:a")
    assert closes(subscribe.token_expired(session)) == [3006]
    session = with_expiry()
    renew(session, "json:a")
    assert closes(
        subscribe.verified(session, claims_for("json:a", expires_at=1001), 5.0, 1005)
    ) == [3006]


def test_renewing_a_subscription_that_was_lost_meanwhile_is_refused():
    session = with_expiry()
    renew(session, "json:a")
    subscribe.lost_state(session, "json:a")
    effects = subscribe.verified(session, claims_for("json:a"), 5.0, 1005)
    assert answers(effects)[0]["error"]["code"] == 103


def order(channel: str, since: StreamPosition | None = None, **options: Any) -> orders.Subscribe:
    return orders.Subscribe(channel, SubscribeOptions(**options), since)


def test_the_server_subscribes_a_client_and_tells_it():
    session = connected()
    request = asked(session.obey(order("room:a", StreamPosition(2, "e"), data=Raw(b"1"))))
    assert request.recovered_as_pushes
    assert request.since == StreamPosition(2, "e")
    result = SubscribeResult(recoverable=True, positioned=True, epoch="e", offset=2)
    effects = subscribe.joined(session, {"room:a": Joined(result, [b'{"push":{}}'])}, 0.0, 1000)
    assert answers(effects) == [
        {
            "push": {
                "channel": "room:a",
                "subscribe": {
                    "recoverable": True,
                    "epoch": "e",
                    "offset": 2,
                    "positioned": True,
                    "data": 1,
                },
            }
        },
        {"push": {}},
    ]
    assert session.subscriptions["room:a"].by_server


def test_an_order_goes_before_commands_that_wait_and_after_the_one_under_way():
    session = connected()
    subscribe_to("room:a", session)
    session.receive(command(3, subscribe={"channel": "open:b"}), 0.0)
    assert session.obey(order("open:b")) == []
    assert session.obey(orders.Unsubscribe("room:a", codes.UNSUBSCRIBED_BY_SERVER)) == []
    reply, begun = join(session, "room:a")
    assert answers([reply])[0]["id"] == 2
    assert asked([begun]).channel == "open:b"
    messages = answers(join(session, "open:b"))
    assert [next(iter(item["push"].values())) for item in messages[:2]] == ["open:b", "room:a"]
    assert messages[1]["push"]["unsubscribe"]["code"] == 2000
    assert messages[2]["error"]["code"] == 105


@pytest.mark.parametrize("channel", ["taps:ann", "nope:x"])
def test_an_order_that_makes_no_sense_is_let_fall(channel: str):
    session = connected()
    before = set(session.subscriptions)
    assert session.obey(order(channel)) == []
    assert set(session.subscriptions) == before


def test_an_order_over_the_limit_of_channels_closes_3505():
    session = connected(ConnectClaims(user="ann", channels=("open:a", "open:b")))
    assert closes(session.obey(order("open:c"))) == [3505]


def test_an_order_that_could_not_be_carried_out_leaves_no_trace_and_commands_go_on():
    session = connected()
    session.obey(order("room:a"))
    session.receive(command(3, unsubscribe={"channel": "x"}), 0.0)
    assert [item["id"] for item in answers(session.refused(codes.INTERNAL))] == [3]
    assert "room:a" not in session.subscriptions


def test_all_subscriptions_end_when_no_channel_is_named():
    session = subscribed("room:a")
    effects = session.obey(orders.Unsubscribe("", codes.UNSUBSCRIBED_STATE_INVALIDATED))
    assert {item["push"]["channel"] for item in answers(effects)} == {"room:a", "taps:ann"}
    assert session.subscriptions == {}


def test_unsubscribing_what_is_not_subscribed_tells_nobody():
    session = connected()
    assert session.obey(orders.Unsubscribe("room:a", codes.UNSUBSCRIBED_BY_SERVER)) == []


def test_orders_for_a_session_that_is_refused_or_over_are_let_fall():
    session = new_session()
    session.receive(command(1, connect={"token": "old"}), 0.0)
    connect.token_expired(session)
    assert session.obey(order("room:a")) == []
    session = connected()
    session.connection_lost()
    assert session.obey(order("room:a")) == []
    assert ANN.user == "ann"
