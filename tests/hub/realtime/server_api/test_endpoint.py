"""Who may call the server API, and what becomes of requests that are none."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.realtime.broker import BrokerUnavailableError
from tests.hub.realtime.server_api.house import KEY, MAX_BODY_BYTES, Api, open_api

GOOD = {"channel": "room:a", "data": 1}


@pytest.fixture
async def api() -> AsyncGenerator[Api]:
    async with open_api() as api:
        yield api


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"x-api-key": KEY, "Authorization": "Bearer else"},
        {"X-API-Key": "", "Authorization": f"apikey {KEY}"},
        {"X-API-Key": "", "Authorization": f"ApiKey  {KEY}"},
    ],
)
async def test_a_key_opens(api: Api, headers: dict[str, str]) -> None:
    assert (await api.client.post("/api/publish", json=GOOD, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": ""},
        {"X-API-Key": "a-ke"},
        {"X-API-Key": "a-key2"},
        {"X-API-Key": "ä".encode()},
        {"X-API-Key": "wrong", "Authorization": f"apikey {KEY}"},
        {"X-API-Key": "", "Authorization": f"Bearer {KEY}"},
        {"X-API-Key": "", "Authorization": KEY},
    ],
)
async def test_without_a_known_key_nothing_happens(api: Api, headers: dict[str, Any]) -> None:
    for path in ("publish", "batch", "nothing", ""):
        answer = await api.client.post(f"/api/{path}", json=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert await api.stored("room:a") == []


async def test_a_key_in_the_address_opens_nothing(api: Api) -> None:
    answer = await api.client.post(f"/api/publish?api_key={KEY}", headers={"X-API-Key": ""})
    assert answer.status_code == 401


async def test_several_keys_open_while_one_replaces_the_other() -> None:
    for key, status in [("old", 200), ("new", 200), ("older", 401), ("", 401)]:
        async with open_api("old", "new", key=key) as api:
            assert (await api.client.post("/api/publish", json=GOOD)).status_code == status


async def test_an_empty_key_is_no_key() -> None:
    async with open_api("", key="") as api:
        assert (await api.client.post("/api/publish", json=GOOD)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'"publish"',
        b'{"channel":7,"data":1}',
        b'{"channel":"room:a","data":1,"tags":{"a":1}}',
        b'{"channel":"room:a","data":1,"version":-1}',
        b'{"channel":"room:a","data":1,"version":9007199254740992}',
        b'{"channel":"room:a","data":1}{}',
        b'{"channel":"room:\xff","data":1}',
        b'{"channel":"room:a","data":' + b"[" * 5000,
        b'{"channel":' + b"[" * 4000 + b"]" * 4000 + b"}",
    ],
)
async def test_a_malformed_body_is_refused_whole(api: Api, body: bytes) -> None:
    answer = await api.client.post("/api/publish", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    assert await api.stored("room:a") == []


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    large = json.dumps(GOOD | {"data": "x" * MAX_BODY_BYTES}).encode()

    async def in_parts() -> AsyncGenerator[bytes]:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    for content in (large, in_parts()):
        answer = await api.client.post("/api/publish", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert await api.stored("room:a") == []


async def test_what_is_no_method_is_not_found(api: Api) -> None:
    for path in ("nothing", "publish/x", "connections", "PUBLISH"):
        assert (await api.client.post(f"/api/{path}", json=GOOD)).status_code == 404


async def test_only_post_is_answered(api: Api) -> None:
    answer = await api.client.get("/api/publish")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "request_", "status", "code"),
    [
        ("publish", {"channel": "nowhere:x", "data": 1}, 404, 102),
        ("publish", {"channel": "room:a"}, 400, 107),
        ("rpc", {"method": "nobody.knows"}, 404, 104),
        ("history", {"channel": "plain:a"}, 400, 108),
        ("history", {"channel": "room:a", "since": {"epoch": "gone"}}, 416, 112),
    ],
)
async def test_errors_become_statuses_for_those_who_ask(
    api: Api, method: str, request_: dict[str, Any], status: int, code: int
) -> None:
    headers = {"X-Centrifugo-Error-Mode": "transport"}
    answer = await api.client.post(f"/api/{method}", json=request_, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json().keys() == {"code", "message"}
    good = await api.client.post("/api/publish", json=GOOD, headers=headers)
    assert (good.status_code, good.json()["result"]["offset"]) == (200, 1)


async def test_a_broker_that_is_away_is_an_internal_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_request: object) -> None:
        raise BrokerUnavailableError

    monkeypatch.setattr(api.parts.broker, "publish", away)
    error = {"error": {"code": 100, "message": "internal server error"}}
    assert await api.call("publish", **GOOD) == error


async def test_a_fault_of_ours_is_logged_and_ends_only_its_call(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_request: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.parts.broker, "publish", broken)
    assert (await api.call("publish", **GOOD))["error"]["code"] == 100
    assert "result" in await api.call("info")


async def test_neither_keys_nor_data_are_logged(api: Api) -> None:
    secret = "very-secret-value"
    with capture_logs() as written:
        await api.client.post("/api/publish", headers={"X-API-Key": secret})
        await api.client.post(f"/api/{secret}")
        await api.call("publish", channel=f"nowhere:{secret}", data=secret)
    assert len([entry for entry in written if "refused" in entry["event"]]) == 3
    assert secret not in repr(written)
