"""Duplicates are suggested, merged with all they have, and separated again."""

from typing import Any

import pytest

from hub.domains.contact_merges import service
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import User


async def add(user: User, **fields: Any) -> str:
    answer = await user.client.post("/v1/contacts", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def email(value: str) -> list[dict[str, str]]:
    return [{"kind": "email", "value": value}]


async def suggestions(user: User, **query: Any) -> dict[str, Any]:
    answer = await user.client.get("/v1/contacts/merge-suggestions", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_seems_to_be_one_person_is_suggested_until_told_apart(ada: User) -> None:
    one = await add(ada, full_name="Charles Babbage", methods=email("c@example.com"))
    other = await add(ada, full_name="Babbage, Charles", methods=email("C@Example.com"))
    await add(ada, full_name="Mary Somerville", company="Royal Society")
    third = await add(ada, full_name="Mary  SOMERVILLE", company="royal society")
    await add(ada, full_name="Mary Somerville")
    found = (await suggestions(ada))["items"]
    assert [(item["one"]["full_name"], item["reasons"]) for item in found] == [
        ("Charles Babbage", ["same_email", "same_name"]),
        ("Mary Somerville", ["same_name", "same_company"]),
    ]
    assert (found[0]["one"]["contact_id"], found[0]["other"]["contact_id"]) == (one, other)
    first = await suggestions(ada, limit=1)
    rest = await suggestions(ada, limit=1, cursor=first["next_cursor"])
    assert (first["items"] + rest["items"], rest["has_more"]) == (found, False)
    path = f"/v1/contacts/{other}/distinctions/{one}"
    assert (await ada.client.put(path)).status_code == 204
    assert [item["other"]["contact_id"] for item in (await suggestions(ada))["items"]] == [third]
    # Also once one of them is part of a third.
    double = await add(ada, full_name="C Babbage", methods=email("c@example.com"))
    await ada.client.put(f"/v1/contacts/{one}/distinctions/{double}")
    merged = await ada.client.post(f"/v1/contacts/{double}/merge", json={"merged_id": other})
    assert [item["other"]["contact_id"] for item in (await suggestions(ada))["items"]] == [third]
    await ada.client.delete(f"/v1/contacts/{one}/distinctions/{double}")
    assert [item["other"]["contact_id"] for item in (await suggestions(ada))["items"]] == [third]
    await ada.client.post(f"{merged.headers['location']}/undo")
    await ada.client.delete(f"/v1/contacts/{double}")
    assert (await ada.client.delete(path)).status_code == 204
    assert (await suggestions(ada))["items"] == found


async def test_whoever_merges_as_it_is_suggested_keeps_the_fuller_name(ada: User) -> None:
    # Whichever was there first.
    await add(ada, full_name="Ch. Babbage", methods=email("c@example.com"))
    await add(ada, full_name="Charles Babbage", methods=email("c@example.com"))
    await add(ada, full_name="Mary Somerville", methods=email("m@example.com"))
    await add(ada, full_name="M. Somerville", methods=email("m@example.com"))
    found = (await suggestions(ada))["items"]
    assert {(item["one"]["full_name"], item["other"]["full_name"]) for item in found} == {
        ("Charles Babbage", "Ch. Babbage"),
        ("Mary Somerville", "M. Somerville"),
    }


async def test_what_says_most_is_not_lost_among_many(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_COMPARED_MOST", 2)
    for _ in range(4):
        await add(ada, full_name="Anna Schmidt")
    for company in ("Engines", "ENGINES"):
        await add(ada, full_name="Mary Somerville", company=company)
    for name in ("Carl Gauss", "C. Gauss"):
        await add(ada, full_name=name, methods=email("gauss@example.com"))
    found = (await suggestions(ada))["items"]
    assert [item["one"]["full_name"] for item in found] == ["Carl Gauss", "Mary Somerville"]


async def test_a_number_of_many_people_suggests_nobody(ada: User) -> None:
    office = [{"kind": "phone", "value": "+44 20 7946 0018"}]
    for number in range(11):
        await add(ada, full_name=f"Clerk{chr(97 + number)} Smith", methods=office)
    assert (await suggestions(ada))["items"] == []


@pytest.mark.req("CON-05")
async def test_a_merge_gives_all_to_one_and_an_undo_gives_it_back(ada: User) -> None:
    kept = await add(
        ada,
        full_name="Charles Babbage",
        notes="Kept.",
        tags=["a"],
        methods=email("one@example.com"),
    )
    merged = await add(
        ada,
        full_name="C. Babbage",
        company="Engines",
        notes="Merged.",
        tags=["a", "b"],
        methods=[*email("ONE@example.com"), *email("two@example.com")],
    )
    friend = await add(ada, full_name="Mary")
    await ada.client.put(f"/v1/contacts/{merged}/links/{friend}", json={"kind": "friend"})
    await ada.client.post(
        f"/v1/contacts/{merged}/interests", json={"category": "tech", "topic": "gears"}
    )
    await ada.client.put(f"/v1/contacts/{merged}/links/{kept}", json={"kind": "other"})

    async def shown(contact: str) -> list[Any]:
        answers = [
            await ada.client.get(f"/v1/contacts/{contact}{part}")
            for part in ("", "/methods", "/interests", "/links")
        ]
        fields, *children = [answer.json() for answer in answers]
        fields["updated_at"] = None
        for item in (item for child in children for item in child["items"]):
            item.pop("updated_at", None)
        return [fields, *children]

    before = [await shown(contact) for contact in (kept, merged, friend)]
    done = await ada.client.post(f"/v1/contacts/{kept}/merge", json={"merged_id": merged})
    assert done.status_code == 201, done.text
    assert done.json()["filled"] == ["company"]
    moved = {name: amount for name, amount in done.json()["moved"].items() if amount}
    assert moved == {"contact_methods": 1, "interests": 1, "contact_links": 1}
    fields, methods, interests, links = await shown(kept)
    assert (fields["full_name"], fields["company"]) == ("Charles Babbage", "Engines")
    assert (fields["notes"], fields["tags"]) == ("Kept.\n\nMerged.", ["a", "b"])
    assert [item["value"] for item in methods["items"]] == ["one@example.com", "two@example.com"]
    assert [item["is_primary"] for item in methods["items"]] == [True, False]
    assert [item["topic"] for item in interests["items"]] == ["gears"]
    assert [item["full_name"] for item in links["items"]] == ["Mary"]
    gone = await ada.client.get(f"/v1/contacts/{merged}")
    assert (gone.status_code, gone.json()["code"]) == (410, "contact.merged")
    assert kept in gone.json()["detail"]
    archived = await ada.client.get("/v1/contacts", params={"archived": True})
    assert archived.json()["items"] == []
    again = await ada.client.post(f"/v1/contacts/{friend}/merge", json={"merged_id": merged})
    assert again.json()["code"] == "contact.merged"
    undone = [await ada.client.post(f"{done.headers['location']}/undo") for _ in range(2)]
    assert undone[0].json()["undone_at"] is not None
    assert undone[1].json() == undone[0].json()
    assert [await shown(contact) for contact in (kept, merged, friend)] == before
    listed = (await ada.client.get("/v1/contacts/merges")).json()["items"]
    assert listed == [undone[0].json()]


async def test_what_happened_since_a_merge_outlives_its_undo(ada: User) -> None:
    kept = await add(ada, full_name="Charles", methods=email("one@example.com"))
    merged = await add(ada, full_name="Charles B.", company="Engines", methods=email("two@a.org"))
    done = await ada.client.post(f"/v1/contacts/{kept}/merge", json={"merged_id": merged})
    path = f"/v1/contacts/{kept}"
    await ada.client.patch(path, json={"company": "Navy", "notes": "Since.", "tags": ["since"]})
    await ada.client.post(f"{path}/methods", json=email("since@example.com")[0])
    await ada.client.delete(path)
    assert (await ada.client.post(f"{done.headers['location']}/undo")).status_code == 200
    now = (await ada.client.get(path)).json()
    assert (now["company"], now["notes"], now["tags"]) == ("Navy", "Since.", ["since"])
    assert now["archived_at"] is not None
    values = [item["value"] for item in (await ada.client.get(f"{path}/methods")).json()["items"]]
    assert values == ["one@example.com", "since@example.com"]
    other = (await ada.client.get(f"/v1/contacts/{merged}")).json()
    assert (other["company"], other["archived_at"]) == ("Engines", None)


async def test_merges_that_make_no_sense_are_refused(ada: User, grace: User) -> None:
    one, two, three = [await add(ada, full_name=name) for name in ("One", "Two", "Three")]
    foreign = await add(grace, full_name="Foreign")
    myself = (await ada.client.get("/v1/contacts/self")).json()["id"]

    async def merge(kept: str, merged: str) -> Any:
        return await ada.client.post(f"/v1/contacts/{kept}/merge", json={"merged_id": merged})

    for kept, merged, code in (
        (one, one, "contact.merge_with_itself"),
        (one, myself, "contact.self"),
        (one, foreign, "contact.not_found"),
        (foreign, one, "contact.not_found"),
    ):
        assert (await merge(kept, merged)).json()["code"] == code
    first, second = await merge(two, one), await merge(three, two)
    assert (first.status_code, second.status_code) == (201, 201)
    early = await ada.client.post(f"{first.headers['location']}/undo")
    assert (early.status_code, early.json()["code"]) == (409, "contact.merge_superseded")
    theirs = await grace.client.post(f"{second.headers['location']}/undo")
    assert (theirs.status_code, theirs.json()["code"]) == (404, "contact.merge_not_found")
    for done in (second, first):
        assert (await ada.client.post(f"{done.headers['location']}/undo")).status_code == 200
    assert len((await ada.client.get("/v1/contacts")).json()["items"]) == 3


async def test_a_key_is_not_told_how_many_interactions_it_does_not_see_have_moved(
    ada: User, new_key: NewKey
) -> None:
    kept, merged = await add(ada, full_name="C Babbage"), await add(ada, full_name="Babbage")
    met = {"contact_id": merged, "is_private": True}
    assert (await ada.client.post("/v1/interactions", json=met)).is_success
    key = (await new_key(ada, "contacts:read", "contacts:write")).client
    body = {"merged_id": merged}
    done = (await key.post(f"/v1/contacts/{kept}/merge", json=body)).json()
    path = f"/v1/contacts/merges/{done['id']}"
    listed = (await key.get("/v1/contacts/merges")).json()["items"][0]
    for told in (done, listed, (await key.get(path)).json()):
        assert {"contact_methods", "interests"} <= set(told["moved"])
        assert not {"interactions", "interaction_participants"} & set(told["moved"])
    assert (await ada.client.get(path)).json()["moved"]["interactions"] == 1
