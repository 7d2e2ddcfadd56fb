"""What connection and subscription tokens say."""

import base64
from typing import Any

import pytest

from hub.realtime.tokens.claims import (
    ConnectClaims,
    SubscribeClaims,
    SubscribeOptions,
    TokenExpiredError,
    TokenInvalidError,
)
from hub.realtime.tokens.signatures import FixedKeys
from hub.realtime.tokens.verifier import Rules, TokenVerifier
from tests.hub.realtime.jwt_maker import NOW, SECRET, signed

KEYS = FixedKeys(hmac_secret_key=SECRET)


def verifier(**rules: str) -> TokenVerifier:
    return TokenVerifier(KEYS, Rules(**rules), now=lambda: NOW)


async def connect(claims: Any, **rules: str) -> ConnectClaims:
    return await verifier(**rules).connect(signed(claims))


async def subscribe(claims: Any, **rules: str) -> SubscribeClaims:
    return await verifier(**rules).subscribe(signed(claims))


def base64_of(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.req("RTM-05")
async def test_a_connection_token_says_who_connects():
    claims = await connect(
        {
            "sub": "ann",
            "exp": NOW + 60,
            "iat": NOW,
            "jti": "1",
            "info": {"name": "Ann"},
            "meta": {"plan": "free"},
            "channels": ["news", "chat:index"],
        }
    )
    assert (claims.user, claims.expires_at) == ("ann", NOW + 60)
    assert bytes(claims.info) == b'{"name": "Ann"}'
    assert bytes(claims.meta) == b'{"plan": "free"}'
    assert claims.channels == ("news", "chat:index")


async def test_a_token_that_says_nothing_is_an_anonymous_one_without_end():
    assert await connect({}) == ConnectClaims(user="")


async def test_subscriptions_have_options_that_override_the_namespace():
    override = {"presence": {"value": True}, "force_recovery": {"value": False}, "join_leave": {}}
    claims = await connect(
        {
            "sub": "ann",
            "channels": ["left out"],
            "subs": {"a": {"info": 1, "data": [2], "override": override}, "b": {}},
        }
    )
    assert claims.channels == ()
    options = claims.subs["a"]
    assert (bytes(options.info), bytes(options.data)) == (b"1", b"[2]")
    assert (options.presence, options.force_recovery, options.join_leave) == (True, False, False)
    assert options.force_positioning is options.force_push_join_leave is None
    assert claims.subs["b"] == SubscribeOptions()


@pytest.mark.parametrize(
    ("times", "expires_at"),
    [
        ({}, 0),
        ({"exp": NOW + 1}, NOW + 1),
        ({"exp": NOW + 1.75}, NOW + 1),
        ({"exp": NOW + 1, "expire_at": NOW + 99}, NOW + 99),
        ({"exp": NOW + 1, "expire_at": 0}, 0),
        ({"exp": NOW + 1, "expire_at": -5}, 0),
        ({"exp": NOW + 1, "expire_at": None}, NOW + 1),
        ({"expire_at": NOW - 1}, NOW - 1),
        ({"exp": 1e300}, (1 << 32) - 1),
        ({"expire_at": 1 << 80}, (1 << 32) - 1),
        ({"nbf": NOW, "iat": NOW + 500}, 0),
    ],
)
async def test_expire_at_has_the_last_word_over_exp(times: dict[str, Any], expires_at: int):
    assert (await connect({"sub": "ann", **times})).expires_at == expires_at
    claims = await subscribe({"sub": "ann", "channel": "a", **times})
    assert claims.options.expires_at == expires_at


@pytest.mark.parametrize("times", [{"exp": NOW}, {"exp": 0}, {"exp": -1}, {"nbf": NOW + 1}])
async def test_a_token_out_of_its_time_asks_for_a_new_one(times: dict[str, Any]):
    # One that is not good yet is answered as expired, as the original does.
    with pytest.raises(TokenExpiredError):
        await connect(times)
    with pytest.raises(TokenExpiredError):
        await subscribe({"channel": "a", **times})


async def test_a_remembered_token_expires_all_the_same():
    now = NOW
    remembering = TokenVerifier(KEYS, now=lambda: now)
    token = signed({"sub": "ann", "exp": NOW + 1})
    await remembering.connect(token)
    now += 1
    with pytest.raises(TokenExpiredError):
        await remembering.connect(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": "1800000060"},
        {"exp": True},
        {"exp": [NOW + 60]},
        {"exp": {}},
        {"nbf": "now"},
        {"expire_at": 1.5},
        {"sub": 1},
        {"sub": None},
        {"sub": ["ann"]},
        {"channels": "news"},
        {"channels": [1]},
        {"subs": []},
        {"subs": {"a": []}},
        {"subs": {"a": {"override": {"presence": True}}}},
        {"subs": {"a": {"b64info": "?"}}},
        {"aud": 1},
        {"channel": "a"},
        {"b64info": "not base64"},
        {"b64info": base64_of(b"\xff\x00")},
        {"b64info": base64_of(b"{} {}")},
        {"b64info": base64_of(b"[" * 900 + b"]" * 900)},
        [],
        "ann",
        None,
    ],
)
async def test_claims_of_another_shape_are_refused(claims: Any):
    with pytest.raises(TokenInvalidError):
        await connect(claims)


async def test_info_may_be_encoded():
    claims = await connect({"info": {"plain": 1}, "b64info": base64_of(b'{"name":"\xc3\x84nn"}')})
    assert bytes(claims.info) == '{"name":"Änn"}'.encode()


async def test_info_that_is_null_is_none():
    claims = await connect({"info": None, "meta": None, "channels": None, "subs": None})
    assert claims == ConnectClaims(user="")


@pytest.mark.req("RTM-05")
async def test_a_subscription_token_opens_one_channel_to_one_user():
    claims = await subscribe(
        {
            "sub": "ann",
            "channel": "$chat:1",
            "client": "c-1",
            "exp": NOW + 60,
            "info": {"role": "host"},
            "b64data": base64_of(b'"hello"'),
            "override": {"force_positioning": {"value": True}},
        }
    )
    assert (claims.user, claims.channel, claims.client) == ("ann", "$chat:1", "c-1")
    assert claims.options.expires_at == NOW + 60
    assert bytes(claims.options.info) == b'{"role": "host"}'
    assert bytes(claims.options.data) == b'"hello"'
    assert claims.options.force_positioning is True


async def test_neither_token_passes_for_the_other():
    with pytest.raises(TokenInvalidError):
        await subscribe({"sub": "ann"})
    with pytest.raises(TokenInvalidError):
        await connect({"sub": "ann", "channel": "a"})


@pytest.mark.parametrize(
    ("rules", "claims", "good"),
    [
        ({"audience": "chat"}, {"aud": "chat"}, True),
        ({"audience": "chat"}, {"aud": ["x", "chat"]}, True),
        ({"audience": "chat"}, {"aud": ["chats", "cha"]}, False),
        ({"audience": "chat"}, {"aud": []}, False),
        ({"audience": "chat"}, {}, False),
        ({"audience_regex": "^(chat|news)$"}, {"aud": ["x", "news"]}, True),
        ({"audience_regex": "^(chat|news)$"}, {"aud": "newsx"}, False),
        ({"audience_regex": ".*"}, {}, False),
        ({"issuer": "idp"}, {"iss": "idp"}, True),
        ({"issuer": "idp"}, {"iss": "idp2"}, False),
        ({"issuer": "idp"}, {}, False),
        ({"issuer_regex": "^https://(a|b)[.]example$"}, {"iss": "https://b.example"}, True),
        ({"issuer_regex": "^https://(a|b)[.]example$"}, {"iss": "https://c.example"}, False),
    ],
)
async def test_audience_and_issuer_have_to_be_the_configured_ones(
    rules: dict[str, str], claims: dict[str, Any], good: bool
):
    if good:
        assert (await connect({"sub": "ann", **claims}, **rules)).user == "ann"
        return
    with pytest.raises(TokenInvalidError):
        await connect({"sub": "ann", **claims}, **rules)


@pytest.mark.parametrize(
    ("path", "claims", "user"),
    [
        ("uid", {"uid": "ann", "sub": "x"}, "ann"),
        ("uid", {"uid": 42}, "42"),
        ("uid", {"uid": True}, ""),
        ("uid", {"uid": {"a": 1}}, ""),
        ("uid", {"sub": "x"}, ""),
        ("app.user.id", {"app": {"user": {"id": "ann"}}}, "ann"),
        ("app.user.id", {"app": {"user": "ann"}}, ""),
        ("app.user.id", {"app": None}, ""),
    ],
)
async def test_the_user_may_be_in_another_claim(path: str, claims: dict[str, Any], user: str):
    assert (await connect(claims, user_id_claim=path)).user == user
    assert (await subscribe({"channel": "a", **claims}, user_id_claim=path)).user == user
