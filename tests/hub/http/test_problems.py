"""Failures: one shape, one table, nothing leaked."""

import json
import re

import pytest

from core.errors import CATALOGUE, DomainError
from hub.http import problems
from hub.http.problems import translate
from hub.http.strict_json import BODY_MAX_BYTES
from tests.fixtures.app import BASE_URL, Running, User


@pytest.mark.req("API-01")
async def test_a_problem_in_full(ada: User):
    answer = await ada.client.patch("/v1/me", json={"bio": 1}, headers={"X-Request-Id": "req-1"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "http://127.0.0.1:8000/errors#request.invalid",
        "title": "Invalid value",
        "status": 422,
        "detail": "Correct the field that `errors` names.",
        "code": "request.invalid",
        "instance": "/v1/me",
        "request_id": "req-1",
        "docs_url": "http://127.0.0.1:8000/errors#request.invalid",
        "errors": [
            {"source": "body", "field": "bio", "message": "Expected `str`, got `int`"},
        ],
    }


async def test_every_code_is_explained_where_problems_link_to(anonymous):
    page = (await anonymous.get("/errors")).text
    for code, spec in CATALOGUE.items():
        assert f'id="{code}"' in page
        assert spec.remedy


async def test_malformed_requests_are_refused(ada: User):
    json_type = {"headers": {"Content-Type": "application/json"}}
    for method, path, options, status, code in [
        ("GET", "/nowhere", {}, 404, "request.not_found"),
        ("GET", "/v1/conversations/not-a-uuid", {}, 404, "request.not_found"),
        ("DELETE", "/v1/me", {}, 405, "request.method_not_allowed"),
        ("BREW", "/v1/me", {}, 405, "request.method_not_allowed"),
        ("GET", "/v1/rings?limit=0", {}, 422, "request.invalid"),
        ("GET", "/v1/rings?limit=201", {}, 422, "request.invalid"),
        ("GET", "/v1/rings?limit=many", {}, 422, "request.invalid"),
        ("GET", "/v1/rings?cursor=garbage", {}, 400, "request.cursor_invalid"),
        ("GET", "/v1/rings?cursor=", {}, 400, "request.cursor_invalid"),
        ("GET", "/v1/rings?cursor=%ff%00", {}, 400, "request.cursor_invalid"),
        ("GET", "/v1/rings/taps?ring_id=1", {}, 422, "request.invalid"),
        ("GET", "/v1/rings?limit=1e400", {}, 422, "request.invalid"),
        ("GET", f"/v1/rings?limit={'9' * 5000}", {}, 422, "request.invalid"),
        ("GET", "/v1/rings?limit=%00", {}, 422, "request.invalid"),
        ("GET", "/v1/me%00", {}, 404, "request.not_found"),
        ("GET", "/v1/%ff%fe", {}, 404, "request.not_found"),
        ("GET", "/v1/rings/../../me", {}, 404, "request.not_found"),
        ("GET", f"/v1/{'x' * 5000}", {}, 404, "request.not_found"),
        ("POST", "/v1/nowhere", {"content": b"{"}, 404, "request.not_found"),
        ("PATCH", "/v1/me", {"content": b"{"}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b"\xff\xfe"}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b'{"bio":"\\ud800"}'}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b'{"bio":"\xff\xfe"}'}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b'{"bio":"\xed\xa0\x80"}'}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b'{"bio":"\xc0\xaf"}'}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b"[" * 100_000}, 400, "request.malformed"),
        ("PATCH", "/v1/me", {"content": b"[]"}, 422, "request.invalid"),
        ("PATCH", "/v1/me", {"content": b"null"}, 422, "request.invalid"),
        ("PATCH", "/v1/me", {"content": b""}, 422, "request.invalid"),
        ("PATCH", "/v1/me", {"data": {"bio": "x"}}, 415, "request.media_type"),
        ("PATCH", "/v1/me", {"files": {"bio": b"x"}}, 415, "request.media_type"),
    ]:
        more = json_type if "content" in options else {}
        answer = await ada.client.request(method, path, **options, **more)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), (method, path, options)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == status
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert problem["type"] == problem["docs_url"] == f"{BASE_URL}/errors#{code}"


async def test_a_405_lists_the_methods(ada: User):
    answer = await ada.client.delete("/v1/conversations")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, OPTIONS, POST"


async def test_without_a_good_token_nothing_is_answered(anonymous):
    for authorization in ("", "Basic YTpi", "Bearer", "Bearer ", "Bearer a.b.c"):
        answer = await anonymous.get("/v1/me", headers={"Authorization": authorization})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] in {"auth.required", "auth.token_invalid"}


async def test_who_is_not_signed_in_learns_nothing_about_the_body(anonymous):
    answer = await anonymous.patch("/v1/me", content=b"{", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


async def test_oversized_bodies_are_refused_however_they_are_sent(hub: Running, ada: User):
    limit = BODY_MAX_BYTES
    assert limit < hub.settings.server.max_body_bytes

    async def chunks():
        for _ in range(limit // 65_536 + 2):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    for content in (b" " * (limit + 1), chunks()):
        answer = await ada.client.patch("/v1/me", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    filled = b'{"bio":"x"' + b" " * (limit - 11) + b"}"
    answer = await ada.client.patch("/v1/me", content=filled, headers=headers)
    assert answer.status_code == 200


async def test_the_unexpected_is_a_500_without_its_words(hub: Running, ada: User, monkeypatch):
    async def crash(*_args, **_kwargs):
        raise RuntimeError("SELECT secret FROM users")

    monkeypatch.setattr("hub.domains.accounts.service.get_me", crash)
    lines = []
    monkeypatch.setattr(problems.log, "get", lambda _name: Recorder(lines))
    answer = await ada.client.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (500, "server.internal")
    assert "secret" not in answer.text
    assert "RuntimeError" in json.dumps(lines)
    assert "SELECT secret" not in json.dumps(lines).replace(
        'raise RuntimeError(\\"SELECT secret FROM users\\")', ""
    )


class Recorder:
    def __init__(self, lines: list) -> None:
        self.lines = lines

    def error(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})


def test_away_always_says_when_to_come_back():
    assert translate(DomainError("service.unavailable")).retry_after_seconds == 1
    known = DomainError("service.unavailable", retry_after_seconds=9)
    assert translate(known).retry_after_seconds == 9


def test_codes_look_alike():
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", code) for code in CATALOGUE)
