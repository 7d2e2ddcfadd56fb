"""Signing in with what a phone's SDK brings, adding logins and taking them away."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from redis.exceptions import ConnectionError as RedisGone
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from core import clock, config
from core.db import Pool
from core.ids import new_id, new_token
from tests.fixtures.app import Running, User, count_rows
from tests.fixtures.identity_provider import (
    NATIVE_ID,
    Browser,
    IdentityProvider,
    with_providers,
)
from tests.fixtures.waiting import running_seconds

Open = Callable[[Running], Browser]


@pytest_asyncio.fixture
async def hub(
    start_app: Callable[[config.Settings], Awaitable[Running]],
    app_settings: config.Settings,
    identity_provider: IdentityProvider,
) -> Running:
    """Return a hub whose provider is the one of this test."""
    running = await start_app(with_providers(app_settings, idp=identity_provider.settings()))
    # One address signs in here more often than a minute allows.
    running.resources.limiter.take = AsyncMock(return_value=None)
    return running


@pytest.fixture
def idp(identity_provider: IdentityProvider) -> IdentityProvider:
    return identity_provider


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def bring(client: httpx.AsyncClient, token: str, nonce: str) -> httpx.Response:
    body = {"id_token": token, "nonce": nonce}
    return await client.post("/v1/auth/idp/id-token", json=body)


@pytest.mark.req("ACC-01")
async def test_a_phone_signs_in_with_the_token_of_its_sdk_once(
    anonymous, idp: IdentityProvider, system_pool: Pool
):
    nonce = new_token()
    token = idp.sign(idp.claims(nonce))
    answers = await asyncio.gather(*(bring(anonymous, token, nonce) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    signed_in = next(answer for answer in answers if answer.status_code == 200).json()
    assert signed_in["user"]["full_name"] == "Ada Lovelace"
    second = new_token()
    again = await bring(anonymous, idp.sign(idp.claims(second)), second)
    assert again.json()["user"]["id"] == signed_in["user"]["id"]
    assert await count_rows(system_pool, "user_logins") == 1


async def test_google_s_tokens_name_the_phone_s_client_as_the_party(
    anonymous, idp: IdentityProvider
):
    nonce = new_token()
    token = idp.sign(idp.claims(nonce, aud="pinghub", azp=NATIVE_ID))
    assert (await bring(anonymous, token, nonce)).status_code == 200


def parts(**values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def forged(idp: IdentityProvider, nonce: str) -> dict[str, str]:
    """Return tokens that somebody else has made, by what is wrong with each."""
    good = idp.sign(idp.claims(nonce))
    header, payload, signature = good.split(".")
    stranger = RSAKey.generate_key(2048)
    same = RSAKey.import_key(idp.key.as_pem(private=True))
    public = idp.key.as_pem(private=False)
    confused = f"{parts(alg='HS256', kid=idp.key.kid)}.{payload}"
    mac = hmac.digest(public, confused.encode(), "sha256")
    twice = (
        base64.urlsafe_b64encode(b'{"sub":"evil",' + base64.urlsafe_b64decode(payload + "==")[1:])
        .rstrip(b"=")
        .decode()
    )
    signed_twice = f"{header}.{twice}"
    return {
        "none": f"{parts(alg='none')}.{payload}.",
        "none with a key id": f"{parts(alg='none', kid=idp.key.kid)}.{payload}.{signature}",
        "the public key as a secret": confused
        + "."
        + base64.urlsafe_b64encode(mac).rstrip(b"=").decode(),
        "another key": jwt.encode(
            {"alg": "RS256", "kid": idp.key.kid}, idp.claims(nonce), stranger, algorithms=["RS256"]
        ),
        "a key of its own": jwt.encode(
            {"alg": "RS256", "jwk": stranger.as_dict(private=False)},
            idp.claims(nonce),
            stranger,
            algorithms=["RS256"],
        ),
        "another address of keys": jwt.encode(
            {"alg": "RS256", "kid": "x", "jku": "https://evil.example/jwks.json"},
            idp.claims(nonce),
            stranger,
            algorithms=["RS256"],
        ),
        "another algorithm": jwt.encode(
            {"alg": "RS512", "kid": idp.key.kid}, idp.claims(nonce), same, algorithms=["RS512"]
        ),
        "a demand": idp_sign_raw(
            idp, {"alg": "RS256", "kid": idp.key.kid, "crit": ["b64"], "b64": True}, payload
        ),
        "changed": f"{header}.{parts(**idp.claims(nonce, sub='evil'))}.{signature}",
        "a claim twice": f"{signed_twice}.{sign_raw(idp, signed_twice)}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "not JSON": f"{header}.{base64.urlsafe_b64encode(b'[1]').decode()}.{signature}",
        "deep": f"{header}.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.{signature}",
    }


def sign_raw(idp: IdentityProvider, text: str) -> str:
    signature = idp.key.private_key.sign(text.encode(), PKCS1v15(), SHA256())
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def idp_sign_raw(idp: IdentityProvider, header: dict[str, Any], payload: str) -> str:
    text = f"{parts(**header)}.{payload}"
    return f"{text}.{sign_raw(idp, text)}"


async def test_forged_tokens_sign_nobody_in(anonymous, idp: IdentityProvider, system_pool: Pool):
    nonce = new_token()
    for what, token in forged(idp, nonce).items():
        answer = await bring(anonymous, token, nonce)
        assert refusal(answer) == (401, "login.refused"), what
        assert token not in answer.text
    for token in ("x" * 16_385, "", "not a token", "a.b.c\n"):
        answer = await bring(anonymous, token, nonce)
        assert refusal(answer) == (422, "request.invalid")
    assert await count_rows(system_pool, "users") == 0
    # The good one still works: nothing was noted of the others.
    assert (await bring(anonymous, idp.sign(idp.claims(nonce)), nonce)).status_code == 200


async def test_tokens_that_are_not_for_this_hub_and_moment_sign_nobody_in(
    anonymous, idp: IdentityProvider, system_pool: Pool
):
    nonce, now = new_token(), clock.unix_seconds()
    for changes in (
        {"aud": "another"},
        {"aud": [NATIVE_ID, "another"], "azp": NATIVE_ID},
        {"aud": [NATIVE_ID, "pinghub"]},
        {"aud": None},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"iss": idp.issuer + "/"},
        {"exp": now},
        {"exp": now - 1},
        {"exp": None},
        {"exp": True},
        {"exp": "soon"},
        {"iat": now + 120},
        {"iat": None},
        {"nbf": now + 120},
        {"nonce": None},
        {"nonce": nonce},
        {"nonce": hashlib.sha256(b"another").hexdigest()},
        {"sub": None},
        {"sub": 7},
        {"sub": "line\nfeed"},
    ):
        answer = await bring(anonymous, idp.sign(idp.claims(nonce, **changes)), nonce)
        assert refusal(answer) == (401, "login.refused"), changes
    assert await count_rows(system_pool, "users") == 0


async def test_a_token_of_the_sdk_proves_anew_who_one_is_if_the_provider_has_just_asked(
    hub: Running, anonymous, idp: IdentityProvider, system_pool: Pool
):
    async def prove(refresh_token: str | None, **claims: Any) -> httpx.Response:
        nonce = new_token()
        body = {"id_token": idp.sign(idp.claims(nonce, **claims)), "nonce": nonce}
        given = body if refresh_token is None else {**body, "refresh_token": refresh_token}
        return await anonymous.post("/v1/auth/idp/id-token", json=given)

    async def keys(access_token: str) -> int:
        async with hub.client(authorization=f"Bearer {access_token}") as client:
            body = {"name": "backend", "scopes": ["taps:read"]}
            return (await client.post("/v1/api-keys", json=body)).status_code

    long_ago = clock.unix_seconds() - 700
    # Who is still signed in at the provider has shown nothing new; nor has a token that was kept.
    for claims in ({"auth_time": long_ago}, {"iat": long_ago}):
        first = (await prove(None, **claims)).json()
        assert await keys(first["access_token"]) == 401
        again = await prove(first["refresh_token"], **claims)
        assert refusal(again) == (401, "auth.recent_sign_in_required")
    now = clock.unix_seconds()
    stranger = await prove(first["refresh_token"], sub="idp-nameless", auth_time=now)
    assert refusal(stranger) == (403, "auth.other_account")
    proved = (await prove(first["refresh_token"], auth_time=now)).json()
    assert await keys(proved["access_token"]) == 201
    assert await count_rows(system_pool, "users") == 1
    # A provider cannot vouch for what is to come.
    ahead = (await prove(None, auth_time=now + 100_000)).json()
    body = {"refresh_token": ahead["refresh_token"]}
    renewed = await anonymous.post("/v1/auth/refresh", json=body)
    claims = jwt.decode(renewed.json()["access_token"], hub_keys(hub), algorithms=["EdDSA"]).claims
    assert claims["auth_time"] <= clock.unix_seconds()


def hub_keys(hub: Running) -> KeySet:
    return KeySet.import_key_set(hub.resources.token_keys.public_keys())


async def test_an_issuer_that_is_down_lets_nobody_in_and_says_so(
    start_app, app_settings: config.Settings, idp: IdentityProvider
):
    down = idp.settings(issuer="http://127.0.0.1:9")
    running = await start_app(with_providers(app_settings, idp=down))
    async with running.client() as client:
        nonce = new_token()
        answer = await bring(client, idp.sign(idp.claims(nonce)), nonce)
        assert refusal(answer) == (503, "login.provider_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        # Nobody need ask it again at once.
        started = running_seconds()
        await bring(client, idp.sign(idp.claims(nonce)), nonce)
        assert running_seconds() - started < 2


async def link(client: httpx.AsyncClient, idp: IdentityProvider, **changes: Any) -> httpx.Response:
    nonce = new_token()
    token = idp.sign(idp.claims(nonce, **changes))
    body = {"by": "id_token", "provider": "idp", "id_token": token, "nonce": nonce}
    return await client.post("/v1/me/logins", json=body)


async def test_a_signed_in_user_adds_a_login_and_signs_in_with_it(
    ada: User, anonymous, idp: IdentityProvider
):
    added = await link(ada.client, idp)
    assert added.status_code == 201, added.text
    assert added.json().keys() == {"id", "provider", "issuer", "last_used_at", "created_at"}
    assert (await link(ada.client, idp)).json()["id"] == added.json()["id"]
    nonce = new_token()
    signed_in = await bring(anonymous, idp.sign(idp.claims(nonce)), nonce)
    assert signed_in.json()["user"]["id"] == str(ada.id)
    listed = (await ada.client.get("/v1/me/logins")).json()
    assert [item["id"] for item in listed["items"]] == [added.json()["id"]]
    one = await ada.client.get(f"/v1/me/logins/{added.json()['id']}")
    assert one.json()["provider"] == "idp"


async def test_logins_of_one_address_are_joined_by_their_owner_alone(
    hub: Running, anonymous, idp: IdentityProvider, system_pool: Pool
):
    async def sign_in(subject: str) -> httpx.Response:
        nonce = new_token()
        claims = idp.claims(nonce, sub=subject, email="One@Example.org", email_verified=True)
        return await bring(anonymous, idp.sign(claims), nonce)

    account = (await sign_in("at work")).json()
    # As often as it is tried: that the address is the same joins nothing.
    for _ in range(2):
        assert refusal(await sign_in("at home")) == (409, "login.link_required")
    assert await count_rows(system_pool, "user_logins") == 1
    async with hub.client(authorization=f"Bearer {account['access_token']}") as within:
        joined = await link(within, idp, sub="at home", email="one@example.org")
        assert joined.status_code == 201, joined.text
    assert (await sign_in("at home")).json()["user"]["id"] == account["user"]["id"]
    assert await count_rows(system_pool, "users") == 1


@pytest.mark.req("ACC-15")
async def test_addresses_that_a_provider_has_verified_are_remembered_and_no_others(
    hub: Running, anonymous, idp: IdentityProvider
):
    for subject, claims, kinds in (
        (
            "both",
            {"phone_number": "+49 151 50123456", "phone_number_verified": True},
            ["email", "phone"],
        ),
        ("unsure", {"email_verified": False, "phone_number": "+49 151 50123457"}, []),
        (
            "no number",
            {"email_verified": False, "phone_number": "7", "phone_number_verified": True},
            [],
        ),
        (
            "no text",
            {"email_verified": False, "phone_number": 7, "phone_number_verified": True},
            [],
        ),
    ):
        nonce = new_token()
        signed_in = await bring(
            anonymous, idp.sign(idp.claims(nonce, sub=subject, **claims)), nonce
        )
        token = signed_in.json()["access_token"]
        async with hub.client(authorization=f"Bearer {token}") as within:
            listed = (await within.get("/v1/me/identities")).json()["items"]
        assert sorted(item["kind"] for item in listed) == kinds, subject


async def test_a_login_is_added_by_the_code_of_a_sign_in(
    ada: User, hub: Running, open_browser: Open
):
    browser = open_browser(hub)
    told = await browser.sign_in("idp-twin")
    body = {"by": "code", "code": told["code"], "code_verifier": browser.verifier}
    assert (await ada.client.post("/v1/me/logins", json=body)).status_code == 201
    assert refusal(await ada.client.post("/v1/me/logins", json=body)) == (401, "login.code_invalid")


async def test_logins_with_an_unverified_address_are_not_added(ada: User, idp: IdentityProvider):
    for changes in (
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "false"},
        {"email_verified": 1},
        {"email": None},
        {"email": "no address"},
    ):
        answer = await link(ada.client, idp, **changes)
        assert refusal(answer) == (409, "login.email_unverified"), changes
    assert (await ada.client.get("/v1/me/logins")).json()["items"] == []


async def test_a_private_relay_s_address_proves_no_equality(
    anonymous, idp: IdentityProvider, system_pool: Pool
):
    relay = "q@privaterelay.appleid.com"
    for subject in ("one", "two"):
        nonce = new_token()
        claims = idp.claims(nonce, sub=subject, email=relay, is_private_email="true")
        assert (await bring(anonymous, idp.sign(claims), nonce)).status_code == 200
    assert await count_rows(system_pool, "users") == 2


async def test_somebody_else_s_login_is_neither_added_nor_seen_nor_removed(
    ada: User, grace: User, idp: IdentityProvider
):
    mine = (await link(ada.client, idp)).json()["id"]
    assert refusal(await link(grace.client, idp)) == (409, "login.taken")
    for login in (mine, new_id()):
        path = f"/v1/me/logins/{login}"
        assert refusal(await grace.client.get(path)) == (404, "login.not_found")
        assert refusal(await grace.client.delete(path)) == (404, "login.not_found")
    assert (await grace.client.get("/v1/me/logins")).json()["items"] == []


async def test_the_last_login_stays_however_many_removals_come_at_once(
    ada: User, idp: IdentityProvider
):
    logins = [
        (await link(ada.client, idp, sub=f"subject-{number}")).json()["id"] for number in range(3)
    ]
    answers = await asyncio.gather(
        *(ada.client.delete(f"/v1/me/logins/{login}") for login in logins)
    )
    assert sorted(answer.status_code for answer in answers) == [204, 204, 409]
    last = next(answer for answer in answers if answer.status_code == 409)
    assert last.json()["code"] == "login.last"


async def test_an_account_has_a_bounded_number_of_logins(ada: User, idp: IdentityProvider):
    for number in range(20):
        assert (await link(ada.client, idp, sub=f"subject-{number}")).status_code == 201
    assert refusal(await link(ada.client, idp, sub="one more")) == (409, "login.limit")


async def test_adding_and_removing_is_audited_without_the_subject(
    ada: User, idp: IdentityProvider, system_pool: Pool
):
    first = (await link(ada.client, idp)).json()["id"]
    await link(ada.client, idp, sub="second")
    await ada.client.delete(f"/v1/me/logins/{first}")
    async with system_pool.connection() as connection:
        rows = await connection.fetch(
            """SELECT action, user_id, endpoint, old_values::text, new_values::text
            FROM audit_log WHERE resource_type = 'user_logins' ORDER BY at, id"""
        )
    assert [row["action"] for row in rows] == ["create", "create", "delete"]
    assert {row["user_id"] for row in rows} == {ada.id}
    assert rows[2]["endpoint"] == "DELETE /v1/me/logins/{login_id}"
    assert all("idp-ada" not in str(row) for row in rows)


async def test_without_redis_nobody_is_let_in_by_a_token_that_might_be_used(
    hub: Running, anonymous, idp: IdentityProvider, system_pool: Pool
):
    nonce = new_token()
    hub.resources.one_time._redis = broken()  # type: ignore[assignment]
    answer = await bring(anonymous, idp.sign(idp.claims(nonce)), nonce)
    assert refusal(answer) == (503, "service.unavailable")
    assert await count_rows(system_pool, "users") == 0


def broken() -> Any:
    return AsyncMock(set=AsyncMock(side_effect=RedisGone()))


async def test_nothing_of_a_token_is_in_the_log(anonymous, idp: IdentityProvider):
    nonce = new_token()
    token = idp.sign(idp.claims(nonce))
    with capture_logs([format_exc_info]) as lines:
        await bring(anonymous, token, nonce)
        await bring(anonymous, token + "x", nonce)
    logged = json.dumps(lines, default=str)
    assert "login_refused" in logged
    for secret in (token, token.split(".")[1], nonce, "idp-ada", "Ada@Example.org"):
        assert secret not in logged
