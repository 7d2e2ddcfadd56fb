"""An address book: what is added is found, changed, archived, and nobody else's."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.fixtures.app import User, idempotency_key

ADA: dict[str, Any] = {
    "full_name": "Ádá Lovelace",
    "first_name": "Ádá",
    "last_name": "Lovelace",
    "company": "Analytical Engines",
    "job_title": "Programmer",
    "linkedin_url": "https://www.linkedin.com/in/ada",
    "avatar_url": "https://example.com/ada.png",
    "location": "London",
    "bio": "First of all.",
    "notes": "Prefers letters.",
    "birthday": "--12-10",
    "context": {
        "professional": {"industry": "computing", "skills": ["notes"]},
        "personal": {"languages": ["French"]},
    },
    "source": "phone",
    "frequency": "weekly",
    "tags": ["pioneer", "math", "pioneer"],
    "methods": [
        {"kind": "email", "value": "Ada@Example.com", "label": "work"},
        {"kind": "email", "value": "ada@example.org", "is_primary": True},
        {"kind": "email", "value": "mailto:ada@example.com"},
        {"kind": "phone", "value": "+44 20 7946 0018"},
    ],
}


async def add(user: User, **fields: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/contacts", json={"full_name": "Nobody", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(user: User, **query: Any) -> list[str]:
    """Return the names of a whole list, page by page."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await user.client.get("/v1/contacts", params={"limit": 2, **query, **cursor})
        assert answer.status_code == 200, answer.text
        names += [item["full_name"] for item in answer.json()["items"]]
        if not answer.json()["has_more"]:
            return names
        cursor = {"cursor": answer.json()["next_cursor"]}


async def searched(user: User, **asked: Any) -> list[str]:
    answer = await user.client.post("/v1/contacts/search", json=asked)
    assert answer.status_code == 200, answer.text
    return [item["full_name"] for item in answer.json()["items"]]


@pytest.mark.req("CON-02", "CON-03", "CON-04", "CON-06", "CON-07")
async def test_a_contact_is_as_it_was_written(ada: User, admin: asyncpg.Connection) -> None:
    key = idempotency_key()
    answer = await ada.client.post("/v1/contacts", json=ADA, headers=key)
    again = await ada.client.post("/v1/contacts", json=ADA, headers=key)
    assert (answer.status_code, again.json()) == (201, answer.json())
    found = await ada.client.get(answer.headers["location"])
    for name, value in ADA.items():
        if name not in {"methods", "tags", "context"}:
            assert found.json()[name] == value, name
    assert found.json()["tags"] == ["pioneer", "math"]
    assert found.json()["context"] == ADA["context"]
    assert (found.json()["strength"], found.json()["last_interaction_at"]) == (0, None)
    methods = (await ada.client.get(f"{answer.headers['location']}/methods")).json()["items"]
    assert [(item["value"], item["is_primary"]) for item in methods] == [
        ("ada@example.org", True),
        ("Ada@Example.com", False),
        ("+44 20 7946 0018", True),
    ]
    # At rest neither addresses nor notes can be read.
    stored = await admin.fetch("SELECT notes FROM contacts WHERE notes IS NOT NULL")
    stored += await admin.fetch("SELECT value, value_hash FROM contact_methods")
    raw = b"".join(value for row in stored for value in row.values()).lower()
    assert b"letters" not in raw
    assert b"example" not in raw
    assert b"7946" not in raw


@pytest.mark.req("CON-09")
async def test_lists_have_four_orders_and_filters_and_end(
    ada: User, admin: asyncpg.Connection
) -> None:
    await add(ada, full_name="Zoé", company="Águila", tags=["x"], source="phone")
    await add(ada, full_name="bob", company="aguila", tags=["x", "y"])
    await add(ada, full_name="Änne", company="Other")
    await add(ada, full_name="Carl")
    await admin.execute("UPDATE contacts SET strength = 0.9 WHERE full_name = 'Carl'")
    await admin.execute("UPDATE contacts SET strength = 0.5 WHERE full_name = 'bob'")
    await admin.execute("UPDATE contacts SET last_interaction_at = now() WHERE full_name = 'Zoé'")
    assert await listed(ada) == ["Carl", "Änne", "bob", "Zoé"]
    assert await listed(ada, order="name") == ["Änne", "bob", "Carl", "Zoé"]
    assert await listed(ada, order="strength") == ["Carl", "bob", "Änne", "Zoé"]
    assert await listed(ada, order="interaction") == ["Zoé", "Carl", "Änne", "bob"]
    assert await listed(ada, company="AGUILA", order="name") == ["bob", "Zoé"]
    assert await listed(ada, tag="x") == ["bob", "Zoé"]
    assert await listed(ada, tag="x", source="phone") == ["Zoé"]
    assert await listed(ada, linked=True) == []
    tags = (await ada.client.get("/v1/contacts/tags")).json()["items"]
    assert tags == [{"tag": "x", "contacts": 2}, {"tag": "y", "contacts": 1}]
    first = await ada.client.get("/v1/contacts", params={"limit": 1})
    elsewhere = {"cursor": first.json()["next_cursor"], "order": "name"}
    mixed = await ada.client.get("/v1/contacts", params=elsewhere)
    assert mixed.json()["code"] == "request.cursor_invalid"


async def test_words_and_addresses_are_searched_however_they_are_written(
    ada: User, grace: User
) -> None:
    await add(ada, **ADA)
    await add(ada, full_name="Adam Smith", company="Analytical Engines")
    await add(grace, full_name="Ada Byron", methods=[{"kind": "email", "value": "ada@example.com"}])
    assert await searched(ada, text="ADA") == ["Adam Smith", "Ádá Lovelace"]
    assert await searched(ada, text="love anal") == ["Ádá Lovelace"]
    assert await searched(ada, text="program pion") == ["Ádá Lovelace"]
    assert await searched(ada, text="':* | !&(") == []
    assert await searched(ada, text="byron") == []
    asked = {"kind": "email", "value": "ADA@example.COM"}
    assert await searched(ada, address=asked) == ["Ádá Lovelace"]
    assert await searched(ada, address={"kind": "email", "value": "no address"}) == []
    for wrong in ({}, {"text": "a", "address": asked}):
        answer = await ada.client.post("/v1/contacts/search", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    page = await ada.client.post("/v1/contacts/search", json={"text": "ada", "limit": 1})
    cursor = page.json()["next_cursor"]
    assert await searched(ada, text="ada", cursor=cursor) == ["Ádá Lovelace"]


async def test_a_change_keeps_the_rest_and_is_made_to_what_was_read(ada: User) -> None:
    made = await add(ada, **ADA)
    path = f"/v1/contacts/{made['id']}"
    etag = (await ada.client.get(path)).headers["etag"]
    changed = await ada.client.patch(
        path, json={"company": None, "notes": "Likes flowers."}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200
    same = {**made, "company": None, "notes": "Likes flowers."}
    assert {**changed.json(), "updated_at": ""} == {**same, "updated_at": ""}
    late = await ada.client.patch(path, json={"bio": "Late."}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "request.precondition_failed")
    fields = [{"bio": "Two."}, {"location": "Paris"}, {"tags": ["one"]}]
    await asyncio.gather(*(ada.client.patch(path, json=field) for field in fields))
    last = (await ada.client.get(path)).json()
    assert (last["bio"], last["location"], last["tags"]) == ("Two.", "Paris", ["one"])


@pytest.mark.req("CON-05", "CON-08")
async def test_contacts_are_archived_and_oneself_is_not(ada: User) -> None:
    made = await add(ada, full_name="Charles")
    path = f"/v1/contacts/{made['id']}"
    for _ in range(2):
        assert (await ada.client.delete(path)).status_code == 204
    assert await listed(ada) == []
    assert await listed(ada, archived=True) == ["Charles"]
    assert await searched(ada, text="charles") == []
    assert (await ada.client.get(path)).json()["archived_at"] is not None
    assert (await ada.client.post(f"{path}/restore")).json()["archived_at"] is None
    assert await listed(ada) == ["Charles"]
    myself = (await ada.client.get("/v1/contacts/self")).json()
    assert (myself["full_name"], myself["is_self"]) == ("Ada Lovelace", True)
    refused = await ada.client.delete(f"/v1/contacts/{myself['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "contact.self")


async def test_addresses_are_added_once_and_one_of_a_kind_is_primary(ada: User) -> None:
    made = await add(ada, full_name="Charles")
    path = f"/v1/contacts/{made['id']}/methods"

    async def put(value: str, **more: Any) -> Any:
        return await ada.client.post(path, json={"kind": "email", "value": value, **more})

    async def primaries() -> list[str]:
        items = (await ada.client.get(path)).json()["items"]
        return [item["value"] for item in items if item["is_primary"]]

    one = await put("one@example.com")
    known = await put("ONE@example.com", label="home")
    assert (one.status_code, known.status_code) == (201, 200)
    assert known.json() == one.json()
    two = await put("two@example.com", is_primary=True)
    assert await primaries() == ["two@example.com"]
    first = f"{path}/{one.json()['id']}"
    changed = await ada.client.patch(first, json={"is_primary": True, "label": "home"})
    assert (changed.json()["label"], await primaries()) == ("home", ["one@example.com"])
    assert (await ada.client.delete(first)).status_code == 204
    assert await primaries() == [two.json()["value"]]
    gone = await ada.client.delete(first)
    assert (gone.status_code, gone.json()["code"]) == (404, "contact.method_not_found")
    refused = await put("no address")
    assert (refused.status_code, refused.json()["code"]) == (422, "contact.method_invalid")
    assert [item["id"] for item in (await ada.client.get(path)).json()["items"]] == [
        two.json()["id"]
    ]


async def test_what_is_wrong_is_refused_whole(ada: User) -> None:
    wrong = [
        {"full_name": ""},
        {"full_name": "A\u0000"},
        {"full_name": "A", "birthday": "2026-02-30"},
        {"full_name": "A", "context": {"secret": 1}},
        {"full_name": "A", "tags": ["x"] * 51},
        {"full_name": "A", "is_self": True},
        {"full_name": "A", "methods": [{"kind": "email", "value": "nobody"}]},
        {"full_name": "A", "methods": [{"kind": "telepathy", "value": "nobody"}]},
    ]
    for body in wrong:
        answer = await ada.client.post("/v1/contacts", json=body)
        assert answer.status_code in {400, 422}, (body, answer.text)
    assert await listed(ada) == []


async def test_two_users_addresses_are_never_equal_at_rest(
    ada: User, grace: User, admin: asyncpg.Connection
) -> None:
    for user in (ada, grace):
        await add(user, methods=[{"kind": "email", "value": "charles@example.com"}])
    rows = await admin.fetch("SELECT value_hash FROM contact_methods")
    assert len({row["value_hash"] for row in rows}) == 2
