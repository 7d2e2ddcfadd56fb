"""Kinds of relationships over REST: everybody's, one's own, and those of a contact."""

import json
from typing import Any

import asyncpg
import pytest

from hub.domains.relationship_types import service
from tests.fixtures.app import User

WEIGHTS = {"recency": 0.5, "frequency": 0.2, "reciprocity": 0.2, "duration": 0.1}
MENTOR = {"name": "mentor", "display_name": "Mentor", "scoring_weights": WEIGHTS, "decay_rate": 0.5}
PATH = "/v1/relationship-types"


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def add_type(user: User, **fields: Any) -> dict[str, Any]:
    answer = await user.client.post(PATH, json={**MENTOR, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.req("REL-03")
async def test_five_kinds_are_everybodys_and_nobodys_to_change(ada: User) -> None:
    found = (await ada.client.get(PATH)).json()["items"]
    assert {item["name"] for item in found} == {
        "professional",
        "personal",
        "romantic",
        "family",
        "strategic",
    }
    assert all(sum(item["scoring_weights"].values()) == pytest.approx(1) for item in found)
    path = f"{PATH}/{found[0]['id']}"
    changed = await ada.client.patch(path, json={"decay_rate": 2})
    assert refusal(changed) == (409, "relationship.type_builtin")
    assert refusal(await ada.client.delete(path)) == (409, "relationship.type_builtin")


@pytest.mark.req("REL-03")
async def test_a_kind_of_ones_own(ada: User, grace: User) -> None:
    made = await add_type(ada)
    assert {**made, **MENTOR, "is_builtin": False} == made
    path = f"{PATH}/{made['id']}"
    taken = await ada.client.post(PATH, json={**MENTOR, "display_name": "Another"})
    assert refusal(taken) == (409, "relationship.type_name_taken")
    taken = await ada.client.post(PATH, json={**MENTOR, "name": "family"})
    assert refusal(taken) == (409, "relationship.type_name_taken")
    assert refusal(await grace.client.get(path)) == (404, "relationship.type_not_found")
    refused = await grace.client.patch(path, json={"decay_rate": 9})
    assert refusal(refused) == (404, "relationship.type_not_found")
    changed = await ada.client.patch(path, json={"decay_rate": 2})
    assert changed.json() == {**made, "decay_rate": 2.0}
    assert (await ada.client.delete(path)).status_code == 204
    assert refusal(await ada.client.get(path)) == (404, "relationship.type_not_found")


@pytest.mark.req("REL-03")
async def test_weights_share_out_one(ada: User) -> None:
    made = await add_type(ada)
    for recency in (0.4, 0.6, 0.50001):
        wrong = {"scoring_weights": {**WEIGHTS, "recency": recency}}
        refused = await ada.client.post(PATH, json={**MENTOR, **wrong, "name": "other"})
        assert refusal(refused) == (422, "relationship.type_weights")
        refused = await ada.client.patch(f"{PATH}/{made['id']}", json=wrong)
        assert refusal(refused) == (422, "relationship.type_weights")
    assert (await ada.client.get(f"{PATH}/{made['id']}")).json() == made


@pytest.mark.req("REL-03")
async def test_a_weight_that_is_none_is_refused(ada: User) -> None:
    made = await add_type(ada)
    new = json.dumps({**MENTOR, "name": "other", "scoring_weights": {**WEIGHTS, "recency": "?"}})
    no_json = {"NaN", "Infinity", "00.5", "1e400"}
    numbers = {"-0.1", "1.1", "9" * 99, "-0.00001"}
    for weight in no_json | numbers | {'"0.5"', '"NaN"', "null", "true", "[0.5]", "{}"}:
        body = new.replace('"?"', weight)
        expected = (400, "request.malformed") if weight in no_json else (422, "request.invalid")
        for method, path in (("POST", PATH), ("PATCH", f"{PATH}/{made['id']}")):
            answer = await ada.client.request(
                method, path, content=body, headers={"content-type": "application/json"}
            )
            assert refusal(answer) == expected, (weight, answer.text)
    assert (await ada.client.get(f"{PATH}/{made['id']}")).json() == made
    assert len((await ada.client.get(PATH)).json()["items"]) == 6


@pytest.mark.req("REL-03")
async def test_weights_that_are_missing_or_not_numbers_do_not_pass_the_database(admin: Any) -> None:
    add = """INSERT INTO relationship_types (user_id, name, display_name, scoring_weights)
    VALUES (NULL, 'other', 'Other', $1::text::jsonb)"""
    for change in (
        {"recency": "0.5"},
        {"recency": None},
        {"recency": [0.5]},
        {"recency": 0.6},
        {"recency": 1.5, "frequency": -0.8},
        {"luck": 0},
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await admin.execute(add, json.dumps(WEIGHTS | change))
    for whole in ("{}", "[]", "1", '{"recency": 1e400}', '{"recency": 1}'):
        with pytest.raises(asyncpg.CheckViolationError):
            await admin.execute(add, whole)
    await admin.execute(add, json.dumps(WEIGHTS))


async def test_a_number_of_kinds_is_enough(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TYPES_MAX", 1)
    await add_type(ada)
    more = await ada.client.post(PATH, json={**MENTOR, "name": "rival"})
    assert refusal(more) == (409, "relationship.type_limit")


@pytest.mark.req("REL-04")
async def test_a_contact_is_of_several_kinds_and_of_each_once(ada: User, grace: User) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    mentor, hers = await add_type(ada), await add_type(grace)
    family = next(
        item for item in (await ada.client.get(PATH)).json()["items"] if item["name"] == "family"
    )
    path = f"/v1/contacts/{contact}/types"
    for kind in (mentor, family, mentor):
        assert (await ada.client.put(f"{path}/{kind['id']}")).status_code == 204
    listed = (await ada.client.get(path)).json()["items"]
    assert {item["name"] for item in listed} == {"mentor", "family"}
    assert len(listed) == 2
    foreign = await ada.client.put(f"{path}/{hers['id']}")
    assert refusal(foreign) == (404, "relationship.type_not_found")
    foreign = await grace.client.put(f"{path}/{hers['id']}")
    assert refusal(foreign) == (404, "contact.not_found")
    own = (await ada.client.get("/v1/contacts/self")).json()["id"]
    oneself = await ada.client.put(f"/v1/contacts/{own}/types/{family['id']}")
    assert refusal(oneself) == (409, "contact.self")
    assert (await ada.client.delete(f"{path}/{family['id']}")).status_code == 204
    await ada.client.delete(f"{PATH}/{mentor['id']}")
    assert (await ada.client.get(path)).json()["items"] == []
