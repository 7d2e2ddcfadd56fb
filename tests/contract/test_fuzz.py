"""Whatever is sent: never a 500, always a documented answer."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ids import new_id
from tests.fixtures.app import Running, User

_TEXT = st.text(max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(_TEXT, children, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    [
        "body",
        "client_key",
        "reply_to_id",
        "partner_id",
        "claim_code",
        "label",
        "user_id",
        "refresh_token",
        "full_name",
        "timezone",
        "locale",
        "bio",
        "display_name",
    ]
)
_VALUES = _JSON | st.uuids().map(str) | st.just("x" * 5000)
_BODIES = st.dictionaries(_FIELDS, _VALUES, max_size=4) | _JSON
_IDS = st.uuids().map(str) | st.text(
    st.characters(codec="utf-8", exclude_characters="/?#"), max_size=20
)
_QUERY = st.dictionaries(
    st.sampled_from(["limit", "cursor", "ring_id", "picc_data", "cmac", "enc", "other"]),
    _TEXT | st.integers().map(str),
    max_size=3,
)
_ROUTES = st.sampled_from(
    [
        ("GET", "/v1/me"),
        ("PATCH", "/v1/me"),
        ("GET", "/v1/rings"),
        ("POST", "/v1/ring-claims"),
        ("GET", "/v1/ring-claims/{id}"),
        ("POST", "/v1/ring-claims/{id}/proof"),
        ("POST", "/v1/ring-claims/{id}/gateway"),
        ("POST", "/v1/rings/{id}/release"),
        ("POST", "/v1/rings/{id}/revoke"),
        ("POST", "/v1/rings/{id}/found"),
        ("PATCH", "/v1/rings/{id}"),
        ("POST", "/v1/rings/{id}/lost"),
        ("GET", "/v1/rings/taps"),
        ("POST", "/v1/development/rings/{id}/tap"),
        ("GET", "/v1/conversations"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/conversations/{id}"),
        ("GET", "/v1/conversations/{id}/messages"),
        ("POST", "/v1/conversations/{id}/messages"),
        ("POST", "/v1/auth/refresh"),
        ("POST", "/v1/auth/development/sign-in"),
        ("GET", "/v1/auth/development/users"),
        ("GET", "/t"),
        ("DELETE", "/v1/me"),
        ("PUT", "/livez"),
    ]
)


@pytest.fixture
async def mine(ada: User, grace: User) -> str:
    answer = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    return answer.json()["id"]


async def test_no_input_is_a_server_error(hub: Running, ada: User, mine: str):
    document: dict[str, Any] = hub.app.openapi_schema.to_schema()
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=250,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(_ROUTES, _IDS | st.just(mine), _QUERY, _BODIES, st.booleans())
    def fuzz(route, identity, query, body, keyed):
        method, path = route
        headers = {"Idempotency-Key": str(new_id())} if keyed else {}
        request = ada.client.build_request(
            method,
            path.replace("{id}", path_segment(identity)),
            params=query,
            json=body if method != "GET" else None,
            headers=headers,
        )
        answer = asyncio.run_coroutine_threadsafe(ada.client.send(request), loop).result(10)
        # No virtual rings run here: that route alone may say so.
        assert answer.status_code < 500 or answer.json()["code"] == "service.unavailable", request
        if answer.status_code >= 400 and "json" in answer.headers["content-type"]:
            assert answer.json()["code"]
        expect_documented(document, method, path, answer.status_code)

    await asyncio.to_thread(fuzz)


def expect_documented(document: dict[str, Any], method: str, path: str, status: int) -> None:
    item = next(
        (
            item
            for template, item in document["paths"].items()
            if template.replace("ring_id", "id").replace("conversation_id", "id") == path
        ),
        {},
    )
    operation = item.get(method.lower())
    # An id that is no id, or a slash in it, is another path: a 404 of the router.
    if operation is not None and status not in {404, 405}:
        assert str(status) in operation["responses"], (method, path, status)


def path_segment(identity: str) -> str:
    return quote(identity, safe="") or "%20"
