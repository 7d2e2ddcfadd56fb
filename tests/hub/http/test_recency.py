"""What keeps or ends access to an account: only for who has shown a moment ago who they are."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from core import clock
from core.db import begin
from core.ids import new_id
from hub.domains.accounts import service as accounts
from hub.http.recency import RECENT_SECONDS
from tests.fixtures.app import Running, User, user_actor

GUARDED = {
    "POST /v1/me/passkeys/options",
    "POST /v1/me/passkeys",
    "DELETE /v1/me/passkeys/{passkey_id}",
    "POST /v1/me/logins",
    "DELETE /v1/me/logins/{login_id}",
    "DELETE /v1/me/identities/{identity_id}",
    "POST /v1/api-keys",
    "PATCH /v1/api-keys/{key_id}",
    "POST /v1/service-accounts",
    "DELETE /v1/service-accounts/{account_id}",
    "POST /v1/service-accounts/{account_id}/api-keys",
    "PATCH /v1/service-accounts/{account_id}/api-keys/{key_id}",
}
# They take access away from whoever should not have it: nobody waits for that.
DEFENSES = {
    "DELETE /v1/api-keys/{key_id}",
    "DELETE /v1/service-accounts/{account_id}/api-keys/{key_id}",
    "DELETE /v1/me/sessions",
    "DELETE /v1/me/sessions/{session_id}",
}
KEEPERS = ("api-keys", "service-accounts", "me/logins", "me/passkeys", "me/identities")
A_KEY = {"name": "backend", "scopes": ["taps:read"]}
As = Callable[[int], Awaitable[httpx.AsyncClient]]


@pytest_asyncio.fixture
async def signed_in_ago(hub: Running, ada: User) -> AsyncIterator[As]:
    """Open a session of a user who signed in some seconds ago, and refresh its tokens."""
    clients: list[httpx.AsyncClient] = []

    async def open_one(seconds: int) -> httpx.AsyncClient:
        shown_at = clock.unix_seconds() - seconds
        async with begin(hub.resources.api, user_actor(ada.id)) as tx:
            opened = await accounts.open_session(
                tx, lifetime_seconds=3600, authenticated_at=shown_at
            )
        clients.append(hub.client())
        body = {"refresh_token": opened.refresh_token}
        answer = await clients[-1].post("/v1/auth/refresh", json=body)
        clients[-1].headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return clients[-1]

    yield open_one
    for client in clients:
        await client.aclose()


def routes(hub: Running) -> dict[str, HTTPRouteHandler]:
    return {
        f"{method} {route.path_format}": handler
        for route in hub.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    }


async def test_every_route_that_keeps_or_ends_access_is_guarded_or_defends_it(hub: Running):
    found = routes(hub)
    assert {name for name, handler in found.items() if handler.opt.get("recent")} == GUARDED
    changing = {
        name
        for name in found
        if not name.startswith(("GET", "HEAD", "OPTIONS"))
        and name.split("/v1/")[-1].startswith(KEEPERS)
    }
    naming = {"PATCH /v1/me/passkeys/{passkey_id}"}
    assert changing - naming - DEFENSES == GUARDED


async def send(client: httpx.AsyncClient, route: str, body: Any = None) -> httpx.Response:
    method, path = route.split()
    for name in ("passkey_id", "login_id", "identity_id", "key_id", "account_id", "session_id"):
        path = path.replace(f"{{{name}}}", str(new_id()))
    return await client.request(method, path, json=body)


@pytest.mark.req("ACC-09")
async def test_a_refresh_token_alone_neither_adds_nor_removes_a_way_in(signed_in_ago: As):
    stale = await signed_in_ago(RECENT_SECONDS + 30)
    for route in sorted(GUARDED):
        answer = await send(stale, route, A_KEY)
        assert answer.status_code == 401, route
        assert answer.json()["code"] == "auth.recent_sign_in_required", route
        assert answer.headers["www-authenticate"] == (
            'Bearer realm="pinghub", error="insufficient_user_authentication", '
            'error_description="A more recent sign-in is required", max_age="600"'
        )
    assert (await stale.get("/v1/api-keys")).json()["items"] == []
    # All else goes on, and so does what takes access away.
    assert (await stale.get("/v1/me")).status_code == 200
    for route in sorted(DEFENSES - {"DELETE /v1/me/sessions"}):
        assert (await send(stale, route)).status_code in (403, 404), route


async def test_a_recent_sign_in_stays_recent_through_a_refresh(signed_in_ago: As):
    recent = await signed_in_ago(RECENT_SECONDS - 60)
    assert (await send(recent, "POST /v1/api-keys", A_KEY)).status_code == 201


async def test_a_session_of_an_older_process_is_as_recent_as_its_sign_in(
    hub: Running, ada: User, system_pool: Any
):
    for ago, expected in (("1 minute", 201), ("11 minutes", 401)):
        async with system_pool.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET authenticated_at = NULL,"
                f" signed_in_at = now() - interval '{ago}'"
            )
        async with hub.client() as client:
            answer = await client.post(
                "/v1/auth/refresh", json={"refresh_token": ada.refresh_token}
            )
            ada.refresh_token = answer.json()["refresh_token"]
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            assert (await send(client, "POST /v1/api-keys", A_KEY)).status_code == expected


async def test_other_refusals_have_the_plain_challenge(anonymous: httpx.AsyncClient):
    answer = await anonymous.get("/v1/me")
    assert answer.headers["www-authenticate"] == 'Bearer realm="pinghub"'
