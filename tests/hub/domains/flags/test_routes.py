"""Flags over REST: one's own with an entity tag; all of them, and cohorts, for administrators."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from core.actor import SYSTEM
from core.db import Pool, begin, command
from hub.domains.accounts import service as accounts
from hub.domains.flags import service
from tests.fixtures.app import Running, User, count_rows, user_actor

FLAG = {"enabled": True, "percentage": 100, "cohorts": [], "description": "cards, redrawn"}
UNKNOWN = "019a0000-0000-7000-8000-000000000000"


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest_asyncio.fixture
async def boss(hub: Running, new_user: Any) -> AsyncIterator[User]:
    """Return a signed-in administrator."""
    user: User = await new_user("Radia Perlman")
    async with begin(hub.resources.system, SYSTEM) as tx:
        await command("UPDATE users SET role = 'admin' WHERE id = $1").run(tx, user.id)
    async with begin(hub.resources.api, user_actor(user.id)) as tx:
        opened = await accounts.open_session(tx, lifetime_seconds=3600)
    token = hub.resources.token_keys.issue(user.id, opened.family_id, "admin")
    async with hub.client(authorization=f"Bearer {token}") as client:
        yield User(user.id, user.full_name, client)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BELIEVED_SECONDS", 0)


@pytest.mark.req("OPS-04")
async def test_a_flag_is_switched_for_everybody_and_off_again(boss: User, ada: User) -> None:
    path = "/v1/admin/flags/new-cards"
    assert (await ada.client.get("/v1/flags")).json() == {"on": []}
    made = await boss.client.put(path, json=FLAG)
    assert made.status_code == 200, made.text
    assert {**made.json(), **FLAG, "key": "new-cards"} == made.json()
    first = await ada.client.get("/v1/flags")
    assert first.json() == {"on": ["new-cards"]}
    again = await ada.client.get("/v1/flags", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    changed = await boss.client.patch(path, json={"enabled": False})
    assert changed.json() | {"updated_at": ""} == made.json() | {"enabled": False, "updated_at": ""}
    again = await ada.client.get("/v1/flags", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.json()) == (200, {"on": []})
    assert (await boss.client.get(path)).json() == changed.json()
    assert (await boss.client.delete(path)).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        answer = await boss.client.request(method, path, json={} if method == "PATCH" else None)
        assert refusal(answer) == (404, "flag.not_found")


async def test_a_change_is_made_to_what_its_author_has_read(boss: User) -> None:
    path = "/v1/admin/flags/new-cards"
    read = (await boss.client.put(path, json=FLAG)).headers["etag"]
    assert (await boss.client.get(path)).headers["etag"] == read
    await boss.client.patch(path, json={"percentage": 5})
    cohort = "/v1/admin/cohorts/beta"
    old = (await boss.client.put(cohort, json={})).headers["etag"]
    await boss.client.put(cohort, json={"tiers": ["pro"]}, headers={"If-Match": old})
    assert (await boss.client.get(cohort)).json()["tiers"] == ["pro"]
    answer = await boss.client.put(cohort, json={}, headers={"If-Match": old})
    assert refusal(answer) == (412, "request.precondition_failed")
    for method, body in (("PATCH", {"enabled": False}), ("PUT", FLAG)):
        answer = await boss.client.request(method, path, json=body, headers={"If-Match": read})
        assert refusal(answer) == (412, "request.precondition_failed")
    read = (await boss.client.get(path)).headers["etag"]
    answer = await boss.client.patch(path, json={"enabled": False}, headers={"If-Match": read})
    assert (answer.json()["enabled"], answer.json()["percentage"]) == (False, 5)


@pytest.mark.req("OPS-04")
async def test_a_cohort_has_a_flag_before_everybody_else(
    boss: User, ada: User, grace: User
) -> None:
    cohort = "/v1/admin/cohorts/beta"
    made = await boss.client.put(cohort, json={"description": "friends of the house"})
    assert made.status_code == 200, made.text
    assert (made.json()["tiers"], made.json()["roles"]) == ([], [])
    await boss.client.put(
        "/v1/admin/flags/new-cards", json={**FLAG, "percentage": 0, "cohorts": ["beta", "beta"]}
    )
    for _ in range(2):
        answer = await boss.client.put(f"{cohort}/members/{ada.id}")
        assert (answer.status_code, answer.content) == (204, b"")
    listed = (await boss.client.get(f"{cohort}/members")).json()["items"]
    assert [member["user_id"] for member in listed] == [str(ada.id)]
    assert (await ada.client.get("/v1/flags")).json() == {"on": ["new-cards"]}
    assert (await grace.client.get("/v1/flags")).json() == {"on": []}
    assert refusal(await boss.client.delete(cohort)) == (409, "cohort.in_use")
    for _ in range(2):
        assert (await boss.client.delete(f"{cohort}/members/{ada.id}")).status_code == 204
    assert (await ada.client.get("/v1/flags")).json() == {"on": []}
    await boss.client.patch("/v1/admin/flags/new-cards", json={"cohorts": []})
    assert (await boss.client.delete(cohort)).status_code == 204
    for answer in (
        await boss.client.get(cohort),
        await boss.client.delete(cohort),
        await boss.client.get(f"{cohort}/members"),
        await boss.client.put(f"{cohort}/members/{ada.id}"),
        await boss.client.delete(f"{cohort}/members/{ada.id}"),
        await boss.client.put("/v1/admin/flags/x", json={**FLAG, "cohorts": ["beta"]}),
    ):
        assert refusal(answer) == (404, "cohort.not_found")


async def test_who_has_no_account_is_in_no_cohort(boss: User) -> None:
    await boss.client.put("/v1/admin/cohorts/beta", json={})
    answer = await boss.client.put(f"/v1/admin/cohorts/beta/members/{UNKNOWN}")
    assert refusal(answer) == (404, "request.not_found")


async def test_flags_and_cohorts_are_listed_in_pages(boss: User) -> None:
    for name in ("b", "c", "a"):
        await boss.client.put(f"/v1/admin/flags/{name}", json=FLAG)
        await boss.client.put(f"/v1/admin/cohorts/{name}", json={"tiers": ["pro", "pro"]})
    for path, name in (("/v1/admin/flags", "key"), ("/v1/admin/cohorts", "name")):
        first = (await boss.client.get(f"{path}?limit=2")).json()
        rest = (await boss.client.get(path, params={"cursor": first["next_cursor"]})).json()
        assert [[item[name] for item in page["items"]] for page in (first, rest)] == [
            ["a", "b"],
            ["c"],
        ]
        answer = await boss.client.get(f"{path}?cursor=x")
        assert refusal(answer) == (400, "request.cursor_invalid")


NONSENSE: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", "/flags/new-cards", {**FLAG, "percentage": 101}),
    ("PUT", "/flags/new-cards", {**FLAG, "percentage": -1}),
    ("PUT", "/flags/new-cards", {**FLAG, "percentage": 0.5}),
    ("PUT", "/flags/new-cards", {**FLAG, "cohorts": ["Beta"]}),
    ("PUT", "/flags/new-cards", {**FLAG, "cohorts": ["a"] * 65}),
    ("PUT", "/flags/new-cards", {**FLAG, "description": "x" * 501}),
    ("PUT", "/flags/new-cards", {**FLAG, "key": "other"}),
    ("PUT", "/flags/new-cards", {"percentage": 1}),
    ("PATCH", "/flags/new-cards", {"percentage": None}),
    ("PUT", "/flags/New", FLAG),
    ("PUT", "/flags/%20", FLAG),
    ("PUT", "/flags/new%0A", FLAG),
    ("PUT", "/flags/" + "x" * 65, FLAG),
    ("PUT", "/cohorts/beta", {"tiers": ["gold"]}),
    ("PUT", "/cohorts/beta", {"roles": ["root"]}),
    ("PUT", "/cohorts/1beta", {}),
]


async def test_what_makes_no_sense_changes_nothing(boss: User, system_pool: Pool) -> None:
    for method, path, body in NONSENSE:
        answer = await boss.client.request(method, f"/v1/admin{path}", json=body)
        assert refusal(answer) == (422, "request.invalid"), (method, path, answer.text)
        assert answer.json()["errors"], path
    for table in ("feature_flags", "cohorts"):
        assert await count_rows(system_pool, table) == 0


async def test_only_administrators_have_to_do_with_flags(
    boss: User, ada: User, system_pool: Pool, new_key: Any
) -> None:
    key = await new_key(ada, "account:read")
    await boss.client.put("/v1/admin/flags/new-cards", json=FLAG)
    assert (await key.client.get("/v1/flags")).json() == {"on": ["new-cards"]}
    member = f"/v1/admin/cohorts/beta/members/{ada.id}"
    for method, path, body in (
        ("GET", "/v1/admin/flags", None),
        ("GET", "/v1/admin/flags/new-cards", None),
        ("PUT", "/v1/admin/flags/new-cards", {"enabled": False}),
        ("PATCH", "/v1/admin/flags/new-cards", {"enabled": False}),
        ("DELETE", "/v1/admin/flags/new-cards", None),
        ("GET", "/v1/admin/cohorts", None),
        ("GET", "/v1/admin/cohorts/beta", None),
        ("PUT", "/v1/admin/cohorts/beta", {}),
        ("DELETE", "/v1/admin/cohorts/beta", None),
        ("GET", "/v1/admin/cohorts/beta/members", None),
        ("PUT", member, None),
        ("DELETE", member, None),
    ):
        answer = await ada.client.request(method, path, json=body)
        assert refusal(answer) == (403, "auth.forbidden"), (method, path)
        answer = await key.client.request(method, path, json=body)
        assert refusal(answer) == (403, "auth.key_refused"), (method, path)
    assert (await ada.client.get("/v1/flags")).json() == {"on": ["new-cards"]}
    assert await count_rows(system_pool, "cohorts") == 0


async def test_who_changed_a_flag_stays_on_record_and_repetitions_are_no_change(
    boss: User, ada: User, admin: Any
) -> None:
    for _ in range(2):
        await boss.client.put("/v1/admin/cohorts/beta", json={"tiers": ["pro"]})
        await boss.client.put("/v1/admin/flags/new-cards", json={**FLAG, "cohorts": ["beta"]})
        await boss.client.put(f"/v1/admin/cohorts/beta/members/{ada.id}")
    await boss.client.patch("/v1/admin/flags/new-cards", json={"percentage": 50})
    entries = await admin.fetch(
        """SELECT user_id, action, resource_type, new_values, endpoint FROM audit_log
        WHERE resource_type IN ('feature_flags', 'cohorts', 'cohort_members') ORDER BY at"""
    )
    assert [(entry["action"], entry["resource_type"]) for entry in entries] == [
        ("create", "cohorts"),
        ("create", "feature_flags"),
        ("create", "cohort_members"),
        ("update", "feature_flags"),
    ]
    assert {entry["user_id"] for entry in entries} == {boss.id}
    assert entries[-1]["new_values"] == '{"percentage": 50}'
    assert entries[-1]["endpoint"] == "PATCH /v1/admin/flags/{key}"
    events = await admin.fetch(
        "SELECT type, user_id, payload FROM events WHERE type ~ '^(flags|cohort)' ORDER BY id"
    )
    assert [tuple(event.values()) for event in events] == [
        ("flags.changed", boss.id, "{}"),
        ("cohort.joined", ada.id, "{}"),
        ("flags.changed", boss.id, "{}"),
    ]
