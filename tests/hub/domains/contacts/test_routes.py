"""An address book: what is added is found, changed, archived, and nobody else's."""

import asyncio

import asyncpg
import pytest

from tests.fixtures.app import User, idempotency_key
from tests.hub.domains.contacts.book import ADA, add, listed, searched


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
    # As the account is called, unless the address book says something else.
    for account, own, expected in (("Ada King", "Countess", "Ada King"), ("A. K.", "", "Countess")):
        await ada.client.patch("/v1/me", json={"full_name": account})
        present = (await ada.client.get("/v1/contacts/self")).json()
        assert present["full_name"] == expected
        if own:
            await ada.client.patch(f"/v1/contacts/{myself['id']}", json={"full_name": own})
    refused = await ada.client.delete(f"/v1/contacts/{myself['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "contact.self")


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u062d\u0645\u062f \u0639\u0644\u064a",
        "\U0001f469\u200d\U0001f680 Sally",
        "\U0001f389",
        "\u5c71",
        "Zo\u200be\u0308",
        "\u202eAda\u202c",
    ],
)
async def test_a_name_is_kept_in_whatever_writing(ada: User, name: str) -> None:
    made = await add(ada, full_name=name, tags=["VIP", " VIP", "vip "])
    assert (made["full_name"], made["tags"]) == (name, ["VIP", "vip"])
    assert await listed(ada, tag="VIP") == [name]


@pytest.mark.req("CON-08")
async def test_oneself_is_one_contact_with_all_that_a_contact_has(
    ada: User, grace: User, admin: asyncpg.Connection
) -> None:
    myself = (await ada.client.get("/v1/contacts/self")).json()
    path = f"/v1/contacts/{myself['id']}"
    changed = await ada.client.patch(path, json={"notes": "Mine.", "tags": ["me"]})
    assert (changed.json()["notes"], changed.json()["is_self"]) == ("Mine.", True)
    address = await ada.client.post(f"{path}/methods", json={"kind": "email", "value": "a@b.org"})
    assert address.status_code == 201
    # In no list, no search and no suggestion, and there once.
    twin = await add(ada, full_name="Ada Lovelace", methods=[{"kind": "email", "value": "a@b.org"}])
    assert await listed(ada) == await searched(ada, text="ada") == ["Ada Lovelace"]
    assert (await ada.client.get("/v1/contacts/merge-suggestions")).json()["items"] == []
    for second in ({"is_self": True}, {"full_name": "Ada", "is_self": True}):
        assert (await ada.client.post("/v1/contacts", json=second)).status_code == 422
    with pytest.raises(asyncpg.UniqueViolationError):
        await admin.execute("UPDATE contacts SET is_self = true WHERE id = $1", twin["id"])
    assert (await grace.client.get(path)).status_code == 404
    # A card of oneself that an import brought is merged into it, and never the other way round.
    into = await ada.client.post(
        f"/v1/contacts/{twin['id']}/merge", json={"merged_id": myself["id"]}
    )
    assert into.json()["code"] == "contact.self"
    taken = await ada.client.post(f"{path}/merge", json={"merged_id": twin["id"]})
    assert (taken.status_code, await listed(ada)) == (201, [])


@pytest.mark.req("CON-07")
async def test_a_context_is_replaced_as_a_whole_and_holds_nothing_else(ada: User) -> None:
    made = await add(ada, full_name="Charles", context={"personal": {"hobbies": ["chess"]}})
    path = f"/v1/contacts/{made['id']}"
    new = {"professional": {"industry": "engines", "about": "Two of them."}}
    changed = await ada.client.patch(path, json={"context": new})
    assert changed.json()["context"] == {**new, "personal": {}}
    for wrong in (
        {"personal": {"hobbies": "chess"}},
        {"personal": {"hobbies": ["chess"] * 21}},
        {"personal": {"income": 1}},
        {"political": {}},
        None,
    ):
        refused = await ada.client.patch(path, json={"context": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")
    emptied = await ada.client.patch(path, json={"context": {}})
    assert emptied.json()["context"] == {"professional": {}, "personal": {}}


async def test_what_is_wrong_is_refused_whole(ada: User) -> None:
    wrong = [
        {"full_name": ""},
        {"full_name": "A\u0000"},
        {"full_name": "A\u2028B"},
        {"full_name": "\u200b\u202e \u3164"},
        {"full_name": "A", "birthday": "2026-02-30"},
        {"full_name": "A", "context": {"secret": 1}},
        {"full_name": "A", "tags": ["x"] * 51},
        {"full_name": "A", "is_self": True},
        {"full_name": "A", "methods": [{"kind": "email", "value": "nobody"}]},
        {"full_name": "A", "methods": [{"kind": "telepathy", "value": "nobody"}]},
        {"full_name": "A", "methods": [{"kind": "url", "value": " JavaScript:alert(1)"}]},
        {"full_name": "A", "tags": [str(number) for number in range(10_000)]},
    ]
    for body in wrong:
        answer = await ada.client.post("/v1/contacts", json=body)
        assert answer.status_code in {400, 422}, (body, answer.text)
    assert await listed(ada) == []
