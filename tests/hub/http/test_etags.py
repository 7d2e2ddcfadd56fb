"""Entity tags: a change is made to what its author has read, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from core import config
from core.db import Pool
from hub.app import create_app
from hub.domains.profiles import service
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import NewRing, User

GiveRing = Callable[[User], Awaitable[NewRing]]

CONSENT = {"granted": True, "text_version": 1}
# Either they are or they are not: nothing to read, nothing to lose.
NO_CONDITION = {
    "PUT /v1/blocks/{user_id}",
    "PUT /v1/admin/cohorts/{name}/members/{user_id}",
    "PUT /v1/circles/{circle_id}/members/{contact_id}",
    "PUT /v1/contacts/{contact_id}/distinctions/{other_id}",
    "PUT /v1/contacts/{contact_id}/interests/{interest_id}/evidence/{interaction_id}",
    "PUT /v1/contacts/{contact_id}/types/{type_id}",
    "PUT /v1/goals/{goal_id}/tags/{tag_id}",
}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def resources(ada: User, give_ring: GiveRing) -> dict[str, tuple[str, Any, Any]]:
    """Make one of everything that people change; return its path with two changes of it."""
    ring = await give_ring(ada)
    gateway = (await ada.client.post("/v1/gateways", json={"name": "Hall"})).json()
    key = {"name": "Backup", "scopes": ["rings:read"]}
    key = (await ada.client.post("/v1/api-keys", json=key)).json()
    session = (await ada.client.get("/v1/me/sessions")).json()["items"][0]
    return {
        "/v1/me": ("PATCH", {"bio": "One"}, {"bio": "Two"}),
        "/v1/me/privacy": ("PATCH", {"share_on_tap": "never"}, {"share_on_tap": "always"}),
        "/v1/me/card": ("PUT", {"full_name": "One"}, {"full_name": "Two"}),
        f"/v1/me/sessions/{session['id']}": (
            "PATCH",
            {"device_name": "One"},
            {"device_name": "Two"},
        ),
        "/v1/me/consents/location": ("PUT", CONSENT, {"granted": False}),
        f"/v1/rings/{ring.id}": ("PATCH", {"label": "One"}, {"label": "Two"}),
        f"/v1/gateways/{gateway['id']}": ("PATCH", {"name": "One"}, {"name": "Two"}),
        f"/v1/api-keys/{key['id']}": ("PATCH", {"name": "One"}, {"name": "Two"}),
    }


def test_every_route_that_changes_takes_a_condition_on_what_its_path_shows() -> None:
    document = create_app(config.Settings()).openapi_schema.to_schema()
    changing = {
        f"{method.upper()} {path}": (item[method], item)
        for path, item in document["paths"].items()
        for method in ("patch", "put")
        if method in item
    }
    assert len(changing) >= 12
    for name in changing.keys() - NO_CONDITION:
        operation, item = changing[name]
        headers = {found["name"] for found in operation["parameters"] if found["in"] == "header"}
        assert "If-Match" in headers, f"{name}: use hub.http.etags.change"
        assert "request.precondition_failed" in operation["responses"]["412"]["description"], name
        shown, made = item["get"]["responses"]["200"], operation["responses"]["200"]
        assert shown["content"] == made["content"], name
        assert "ETag" in shown["headers"], name
        assert "ETag" in made["headers"], name


@pytest.mark.req("API-08")
async def test_whatever_people_change_is_changed_only_as_they_have_read_it(
    ada: User, give_ring: GiveRing
) -> None:
    for path, (method, first, second) in (await resources(ada, give_ring)).items():
        read = (await ada.client.get(path)).headers["etag"]
        changed = await ada.client.request(method, path, json=first, headers={"If-Match": read})
        assert changed.status_code == 200, path
        late = await ada.client.request(method, path, json=second, headers={"If-Match": read})
        assert code_of(late) == (412, "request.precondition_failed"), path
        present = await ada.client.get(path)
        assert present.content == changed.content, path
        assert present.headers["etag"] == changed.headers["etag"] != read, path
        known = await ada.client.get(path, headers={"If-None-Match": present.headers["etag"]})
        assert (known.status_code, known.content) == (304, b""), path
        # Without a condition the last one wins, as before.
        assert (await ada.client.request(method, path, json=second)).status_code == 200, path


async def test_of_many_who_read_the_same_one_changes_it(ada: User) -> None:
    read = (await ada.client.get("/v1/me")).headers["etag"]
    # Two tables: what each writes alone does not collide, what they have read does.
    changes = [{"bio": f"{n}"} if n % 2 else {"full_name": f"Ada {n}"} for n in range(20)]
    answers = await asyncio.gather(
        *(ada.client.patch("/v1/me", json=body, headers={"If-Match": read}) for body in changes)
    )
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    for answer in answers:
        if answer not in good:
            assert code_of(answer) == (412, "request.precondition_failed")
    assert (await ada.client.get("/v1/me")).content == good[0].content


async def test_a_change_without_a_condition_between_reading_and_writing_is_not_lost(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[httpx.Response] = []
    read = (await ada.client.get("/v1/me/privacy")).headers["etag"]
    original = service.get_privacy

    async def get_and_be_overtaken(tx: Any) -> Any:
        found = await original(tx)
        if not others:
            body = {"share_on_tap": "never"}
            others.append(await ada.client.patch("/v1/me/privacy", json=body))
        return found

    monkeypatch.setattr(service, "get_privacy", get_and_be_overtaken)
    answer = await ada.client.patch(
        "/v1/me/privacy", json={"share_on_tap": "always"}, headers={"If-Match": read}
    )
    monkeypatch.undo()
    assert others[0].status_code == 200
    assert code_of(answer) == (412, "request.precondition_failed")
    assert (await ada.client.get("/v1/me/privacy")).json() == {"share_on_tap": "never"}


async def test_what_the_hub_notes_is_news_to_readers_and_no_obstacle_to_writers(
    ada: User, give_ring: GiveRing, system_pool: Pool
) -> None:
    paths = list(await resources(ada, give_ring))
    for noted, beginning, change in [
        ("UPDATE rings SET battery_pct = 12, last_seen_at = now()", "/v1/rings/", "label"),
        ("UPDATE gateways SET last_seen_at = now(), version = '9'", "/v1/gateways/", "name"),
        ("UPDATE api_keys SET last_used_at = now()", "/v1/api-keys/", "name"),
    ]:
        path = next(found for found in paths if found.startswith(beginning))
        read = (await ada.client.get(path)).headers["etag"]
        async with system_pool.connection() as connection:
            await connection.execute(noted)
        again = await ada.client.get(path, headers={"If-None-Match": read})
        assert again.status_code == 200
        assert again.headers["etag"] != read
        changed = await ada.client.patch(path, json={change: "Mine"}, headers={"If-Match": read})
        assert changed.status_code == 200, path


async def test_conditions_are_read_as_rfc_9110_writes_them(ada: User) -> None:
    for if_match, expected in [
        ("*", 200),
        ("{etag}", 200),
        ('"other", {etag}', 200),
        # As a proxy that compresses writes it.
        ("W/{etag}", 200),
        ('"other"', 412),
        ('"*"', 412),
        ('""', 412),
        ("", 422),
        ("abc", 422),
        ('"open', 422),
        ("{etag} {etag}", 422),
        ('"\x7f"', 422),
    ]:
        etag = (await ada.client.get("/v1/me")).headers["etag"]
        headers = {"If-Match": if_match.replace("{etag}", etag)}
        answer = await ada.client.patch("/v1/me", json={"bio": "x"}, headers=headers)
        assert answer.status_code == expected, if_match
        if expected == 422:
            assert answer.json()["errors"] == [
                {"source": "header", "field": "If-Match", "message": "Not an entity tag"}
            ]


async def test_a_condition_tells_nothing_of_what_is_not_ones_own(
    ada: User, grace: User, give_ring: GiveRing
) -> None:
    ring = await give_ring(ada)
    for if_match in ("*", '"x"'):
        answer = await grace.client.patch(
            f"/v1/rings/{ring.id}", json={"label": "x"}, headers={"If-Match": if_match}
        )
        assert code_of(answer) == (404, "ring.not_found")


async def test_an_api_key_reads_the_same_tags(ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "account:write", "account:read")
    read = (await key.client.get("/v1/me")).headers["etag"]
    changed = await key.client.patch("/v1/me", json={"bio": "x"}, headers={"If-Match": read})
    assert changed.status_code == 200
    assert (await ada.client.get("/v1/me")).headers["etag"] == changed.headers["etag"]
