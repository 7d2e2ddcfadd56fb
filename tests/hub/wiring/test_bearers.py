"""Access tokens of Supabase Auth open REST and realtime, for whom they name and as long."""

import base64
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey

from core import clock, config
from core.db import Pool
from core.ids import new_id, new_token
from hub.providers import oidc_issuer
from hub.realtime.application import ConnectionRequest
from hub.realtime.tokens.claims import TokenExpiredError, TokenInvalidError
from tests.fixtures.app import Running, count_rows
from tests.fixtures.identity_provider import with_providers
from tests.fixtures.jwks_server import JwksServer

REQUEST = ConnectionRequest(client_id="a client")
SECRET = "a shared secret of a project, thirty-two bytes and more"


@pytest_asyncio.fixture
async def project():
    """Run the part of a Supabase project that publishes its keys."""
    async with JwksServer() as server:
        yield server


@pytest_asyncio.fixture
async def hub(
    start_app: Callable[[config.Settings], Awaitable[Running]],
    app_settings: config.Settings,
    project: JwksServer,
) -> Running:
    supabase = config.LoginProvider(kind="supabase", issuer=project.issuer, jwt_secret=SECRET)
    return await start_app(with_providers(app_settings, supabase=supabase))


def claims(project: JwksServer, **changes: Any) -> dict[str, Any]:
    """Return the claims of a signed-in person's access token."""
    now = clock.unix_seconds()
    good = {
        "iss": project.issuer,
        "aud": "authenticated",
        "role": "authenticated",
        "sub": "7f1d2c1e-5b0e-4d3a-9a55-0c5e7c6d1e2f",
        "session_id": str(new_id()),
        "iat": now,
        "exp": now + 3600,
        "email": "ada@example.org",
        "user_metadata": {"full_name": "Ada Lovelace", "email_verified": True},
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def by_secret(values: dict[str, Any], secret: str = SECRET) -> str:
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": "HS256", "kid": "legacy"}, values, key, algorithms=["HS256"])


async def me(hub: Running, token: str) -> httpx.Response:
    async with hub.client(authorization=f"Bearer {token}") as client:
        return await client.get("/v1/me")


@pytest.mark.req("ACC-03")
@pytest.mark.parametrize("signed", ["by key pair", "by secret"])
async def test_a_token_opens_rest_for_the_same_account_each_time(
    hub: Running, project: JwksServer, system_pool: Pool, signed: str
):
    sign = project.sign if signed == "by key pair" else by_secret
    first = await me(hub, sign(claims(project)))
    assert first.status_code == 200, first.text
    assert (first.json()["full_name"], first.json()["email"]) == ("Ada Lovelace", None)
    assert (await me(hub, sign(claims(project)))).json()["id"] == first.json()["id"]
    other = await me(hub, sign(claims(project, sub="somebody else")))
    assert other.json()["id"] != first.json()["id"]
    assert await count_rows(system_pool, "users") == 2


async def test_a_token_is_as_recent_as_the_sign_in_that_it_names(hub: Running, project: JwksServer):
    now = clock.unix_seconds()
    old, new = now - 700, now - 60
    for amr, expected in (
        ([{"method": "password", "timestamp": new}], 201),
        ([{"method": "password", "timestamp": old}, {"method": "totp", "timestamp": new}], 201),
        ([{"method": "oauth", "timestamp": old}], 401),
        # Renewed, or nobody at all: nothing was shown.
        (
            [
                {"method": "password", "timestamp": old},
                {"method": "token_refresh", "timestamp": new},
            ],
            401,
        ),
        ([{"method": "anonymous", "timestamp": new}], 401),
        ([{"method": "password", "timestamp": True}, {"method": "otp"}, "otp", 7], 401),
        ([{"method": ["password"], "timestamp": new}], 401),
        ("password", 401),
        (None, 401),
    ):
        token = by_secret(claims(project, amr=amr))
        async with hub.client(authorization=f"Bearer {token}") as client:
            body = {"name": "backend", "scopes": ["taps:read"]}
            answer = await client.post("/v1/api-keys", json=body)
        assert answer.status_code == expected, amr
    token = by_secret(claims(project, auth_time=new))
    async with hub.client(authorization=f"Bearer {token}") as client:
        assert (await client.post("/v1/api-keys", json=body)).status_code == 201


@pytest.mark.req("ACC-14")
async def test_a_role_that_the_project_gives_is_none_of_ours(hub: Running, project: JwksServer):
    boasting = {
        "user_role": "admin",
        "app_metadata": {"role": "admin"},
        "https://ping/role": "admin",
    }
    token = project.sign(claims(project, **boasting))
    answer = await me(hub, token)
    assert (answer.status_code, answer.json()["role"]) == (200, "user")
    async with hub.client(authorization=f"Bearer {token}") as client:
        answer = await client.get("/v1/admin/audit")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_a_token_opens_a_connection_until_it_ends(hub: Running, project: JwksServer):
    application = hub.app.state.realtime.application
    token = project.sign(claims(project))
    account = (await me(hub, token)).json()["id"]
    found = await application.verify_connection(token, REQUEST)
    assert (found.user, found.role) == (account, "user")
    assert found.expires_at == jwt.decode(token, project.key, algorithms=["ES256"]).claims["exp"]
    with pytest.raises(TokenInvalidError):
        await application.verify_connection(token + "x", REQUEST)
    ended = project.sign(claims(project, exp=clock.unix_seconds() - 1))
    with pytest.raises(TokenExpiredError):
        await application.verify_connection(ended, REQUEST)


async def test_the_first_use_may_be_a_connection(
    hub: Running, project: JwksServer, system_pool: Pool
):
    token = project.sign(claims(project))
    await hub.app.state.realtime.application.verify_connection(token, REQUEST)
    assert await count_rows(system_pool, "users") == 1


async def test_what_the_project_did_not_say_of_a_signed_in_person_opens_nothing(
    hub: Running, project: JwksServer, system_pool: Pool
):
    now = clock.unix_seconds()
    for changes in (
        {"role": "anon"},
        {"role": "service_role"},
        {"role": None},
        {"aud": "anon"},
        {"aud": ["authenticated", "another"]},
        {"aud": None},
        {"iss": "https://another.supabase.co/auth/v1"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"exp": None},
        {"exp": "soon"},
        {"iat": now + 600},
        {"iat": None},
    ):
        answer = await me(hub, project.sign(claims(project, **changes)))
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid"), changes
    answer = await me(hub, project.sign(claims(project, exp=now)))
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_expired")
    assert await count_rows(system_pool, "users") == 0


async def test_keys_do_not_serve_for_each_other(
    hub: Running, project: JwksServer, system_pool: Pool
):
    body = base64.urlsafe_b64encode(json.dumps(claims(project)).encode()).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"project"}').rstrip(b"=").decode()
    mac = hmac.digest(project.key.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    confused = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (
        confused,
        f"{none}.{body}.",
        by_secret(claims(project), "another secret, which is long enough too"),
        by_secret(claims(project))[:-2],
        "x" * 20_000,
    ):
        answer = await me(hub, token)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    assert await count_rows(system_pool, "users") == 0


async def test_keys_rotate_without_a_refused_token(
    hub: Running, project: JwksServer, monkeypatch: pytest.MonkeyPatch
):
    assert (await me(hub, project.sign(claims(project)))).status_code == 200
    old = project.sign(claims(project))
    project.rotate()
    # As if the pause between two questions were over.
    monkeypatch.setattr(oidc_issuer, "RETRY_SECONDS", 0)
    assert (await me(hub, project.sign(claims(project)))).status_code == 200
    assert (await me(hub, old)).status_code == 200


async def test_invented_key_ids_do_not_flood_the_project(hub: Running, project: JwksServer):
    await me(hub, project.sign(claims(project)))
    asked = project.requests
    for _ in range(20):
        await me(hub, project.sign(claims(project), kid=new_token()))
    assert project.requests - asked <= 1


async def test_an_address_counts_only_where_the_project_is_trusted_with_it(
    start_app, app_settings: config.Settings, project: JwksServer, new_user, hub: Running
):
    user = await new_user("ada")  # ada@example.com
    mine = claims(project, email="ada@example.com")
    assert (await me(hub, project.sign(mine))).json()["id"] != str(user.id)
    trusting = config.LoginProvider(kind="supabase", issuer=project.issuer, trusts_email=True)
    other = await start_app(with_providers(app_settings, supabase=trusting))
    answer = await me(other, project.sign(claims(project, sub="new", email="ada@example.com")))
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    assert "POST /v1/me/logins" in answer.json()["detail"]


async def test_such_a_provider_starts_no_sign_in(hub: Running):
    async with hub.client() as client:
        answer = await client.post(
            "/v1/auth/supabase/id-token", json={"id_token": "x" * 20, "nonce": "x" * 20}
        )
    assert (answer.status_code, answer.json()["code"]) == (404, "login.provider_unknown")
