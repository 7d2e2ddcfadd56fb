"""The documents' own paths lead to routes, hide none, and are the routes in everything else."""

import re
from pathlib import Path

import httpx
import pytest
from litestar.routes import HTTPRoute

from core import config
from core.db import Pool
from hub.app import create_app
from hub.http.aliases import aliased
from hub.realtime.server_api.endpoint import NAMES
from hub.wiring.aliases import ALIASES
from tests.fixtures.app import BASE_URL, Running, User, count_rows

DOCUMENTS = ("/functions/v1/", "/api/")
REST_PAGE = Path(__file__).parents[3] / "docs" / "rest.md"


def templates() -> set[str]:
    routes = create_app(config.Settings()).routes
    return {route.path_format for route in routes if isinstance(route, HTTPRoute)}


def as_pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))


def test_every_alias_leads_to_a_route_with_the_same_names() -> None:
    served = templates()
    for alias, target in ALIASES.items():
        assert target in served, alias
        assert set(re.findall(r"{(\w+)}", alias)) == set(re.findall(r"{(\w+)}", target)), alias


def test_no_alias_hides_a_route_another_alias_or_the_server_api() -> None:
    taken = [*templates(), "/api", *(f"/api/{name}" for name in NAMES)]
    for alias in ALIASES:
        assert alias.startswith(DOCUMENTS), alias
        sample = re.sub(r"{\w+}", "x", alias)
        others = [*taken, *(other for other in ALIASES if other != alias)]
        assert [other for other in others if as_pattern(other).fullmatch(sample)] == []
        assert [other for other in others if as_pattern(alias).fullmatch(other)] == []


def test_the_page_for_app_developers_lists_them() -> None:
    page = REST_PAGE.read_text()
    for alias, target in ALIASES.items():
        assert f"| `{alias}` | `{target}` |" in page


@pytest.fixture
def renamed(hub: Running, ada: User) -> httpx.AsyncClient:
    """Speak to the hub as Ada, through aliases of the test's own."""
    table = {
        "/functions/v1/profile": "/v1/me",
        "/functions/v1/talk/{conversation_id}/send": (
            "/v1/conversations/{conversation_id}/messages"
        ),
    }
    app = aliased(table, hub.app)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),  # pyright: ignore[reportArgumentType]  # one ASGI, two words for it
        base_url=BASE_URL,
        headers=dict(ada.client.headers),
    )


async def test_an_alias_is_its_route(renamed: httpx.AsyncClient, ada: User, hub: Running) -> None:
    answer = await renamed.get("/functions/v1/profile")
    own = await ada.client.get("/v1/me")
    assert (answer.status_code, answer.content) == (200, own.content)
    assert answer.headers["etag"] == own.headers["etag"]
    assert answer.headers["ratelimit-policy"] == own.headers["ratelimit-policy"]
    wrong = await renamed.delete("/functions/v1/profile/")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, OPTIONS, PATCH")
    assert (await renamed.get("/functions/v1/profile/x")).status_code == 404
    async with hub.client() as stranger:
        renamed.headers = stranger.headers
    assert (await renamed.get("/functions/v1/profile")).status_code == 401
    page = (await ada.client.get("/metrics")).text
    assert "functions/v1" not in page


async def test_a_repetition_under_the_other_name_is_the_same_request(
    renamed: httpx.AsyncClient, ada: User, grace: User, system_pool: Pool
) -> None:
    made = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    conversation = made.json()["id"]
    headers = {"Idempotency-Key": "once"}
    first = await ada.client.post(
        f"/v1/conversations/{conversation}/messages", json={"body": "Hi"}, headers=headers
    )
    again = await renamed.post(
        f"/functions/v1/talk/{conversation}/send", json={"body": "Hi"}, headers=headers
    )
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await count_rows(system_pool, "messages") == 1
    odd = await renamed.post("/functions/v1/talk/..%2f..%2fme/send", json={}, headers=headers)
    assert odd.status_code == 404


async def test_the_documents_paths_are_served(ada: User) -> None:
    for alias in ALIASES:
        answer = await ada.client.get(re.sub(r"{\w+}", str(ada.id), alias))
        # Whatever the route says to this user, it is the route that says it.
        assert answer.json().get("code") not in {"request.not_found", "auth.required"}, alias
