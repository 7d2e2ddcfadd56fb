"""Circles over REST: several for a contact, exactly one of them the primary one."""

from typing import Any
from uuid import UUID

import pytest

from core.db import begin, query
from tests.fixtures.app import Running, User, user_actor

CLOSE = {"name": "Inner circle", "tier": 1, "cadence_days": 7, "color": "#e4572e"}
WIDE = {"name": "Acquaintances", "tier": 4, "cadence_days": 90}
UNKNOWN = "019a0000-0000-7000-8000-000000000000"

read_told = query(
    UUID,
    "SELECT (payload ->> 'contact_id')::uuid FROM events WHERE type = 'closeness.changed'",
)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def add_contact(user: User, name: str = "Grace Hopper") -> str:
    answer = await user.client.post("/v1/contacts", json={"full_name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def add_circle(user: User, **fields: Any) -> str:
    answer = await user.client.post("/v1/circles", json={**CLOSE, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def circles_of(user: User, contact: str) -> dict[str, bool]:
    answer = await user.client.get(f"/v1/contacts/{contact}/circles")
    return {item["name"]: item["is_primary"] for item in answer.json()["items"]}


@pytest.mark.req("REL-01")
async def test_a_circle_is_made_changed_and_removed(ada: User) -> None:
    made = await ada.client.post("/v1/circles", json=CLOSE)
    assert made.status_code == 201
    path = made.headers["location"]
    read = await ada.client.get(path)
    assert read.json() == made.json()
    assert {**read.json(), **CLOSE} == read.json()
    etag = read.headers["etag"]
    taken = await ada.client.post("/v1/circles", json={**WIDE, "name": "inner CIRCLE"})
    assert refusal(taken) == (409, "circle.name_taken")
    wide = await add_circle(ada, **WIDE, color=None)
    taken = await ada.client.patch(f"/v1/circles/{wide}", json={"name": "INNER circle"})
    assert refusal(taken) == (409, "circle.name_taken")
    listed = (await ada.client.get("/v1/circles", params={"limit": 1})).json()
    assert [item["tier"] for item in listed["items"]] == [1]
    rest = await ada.client.get("/v1/circles", params={"cursor": listed["next_cursor"]})
    assert [item["id"] for item in rest.json()["items"]] == [wide]
    changed = await ada.client.patch(
        path, json={"cadence_days": 10, "color": None}, headers={"If-Match": etag}
    )
    assert (changed.json()["cadence_days"], changed.json()["color"]) == (10, None)
    late = await ada.client.patch(path, json={"tier": 2}, headers={"If-Match": etag})
    assert refusal(late) == (412, "request.precondition_failed")
    assert (await ada.client.delete(path)).status_code == 204
    for method in ("GET", "DELETE"):
        assert refusal(await ada.client.request(method, path)) == (404, "circle.not_found")


@pytest.mark.req("REL-02")
async def test_a_contact_in_several_circles_has_one_primary_one(ada: User, hub: Running) -> None:
    contact = await add_contact(ada)
    close, wide = await add_circle(ada), await add_circle(ada, **WIDE)
    third = await add_circle(ada, name="Third", tier=6)
    for circle in (wide, close, third, wide):
        put = await ada.client.put(f"/v1/circles/{circle}/members/{contact}", json={})
        assert put.status_code == 204, put.text
    names = ("Inner circle", "Acquaintances", "Third")
    assert await circles_of(ada, contact) == dict.fromkeys(names, False) | {"Acquaintances": True}
    await ada.client.put(f"/v1/circles/{third}/members/{contact}", json={"is_primary": True})
    assert await circles_of(ada, contact) == dict.fromkeys(names, False) | {"Third": True}
    members = (await ada.client.get(f"/v1/circles/{third}/members")).json()["items"]
    assert [(item["contact_id"], item["is_primary"]) for item in members] == [(contact, True)]
    await ada.client.delete(f"/v1/circles/{third}")
    assert await circles_of(ada, contact) == {"Inner circle": True, "Acquaintances": False}
    await ada.client.delete(f"/v1/circles/{close}/members/{contact}")
    assert await circles_of(ada, contact) == {"Acquaintances": True}
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        told = await read_told.all(tx)
    assert set(told) == {UUID(contact)}


@pytest.mark.req("REL-02")
async def test_nobody_else_is_put_into_a_circle(ada: User, grace: User) -> None:
    hers = await add_contact(grace)
    mine, circle = await add_contact(ada), await add_circle(ada)
    foreign = await add_circle(grace)
    own = (await ada.client.get("/v1/contacts/self")).json()["id"]
    for of, contact, code in (
        (circle, hers, "contact.not_found"),
        (circle, UNKNOWN, "contact.not_found"),
        (foreign, mine, "circle.not_found"),
        (foreign, hers, "circle.not_found"),
    ):
        put = await ada.client.put(f"/v1/circles/{of}/members/{contact}", json={})
        assert refusal(put) == (404, code)
    put = await ada.client.put(f"/v1/circles/{circle}/members/{own}", json={})
    assert refusal(put) == (409, "contact.self")
    assert (await ada.client.get(f"/v1/circles/{circle}/members")).json()["items"] == []


async def test_a_circle_that_makes_no_sense_is_refused(ada: User) -> None:
    refused: list[dict[str, Any]] = [
        {"tier": 0},
        {"tier": 7},
        {"cadence_days": 0},
        {"name": " "},
        {"name": "\u200b"},
        {"name": "x" * 51},
        {"color": "red"},
        {"position": -1},
        {"members": []},
    ]
    for wrong in refused:
        answer = await ada.client.post("/v1/circles", json={**CLOSE, **wrong})
        assert refusal(answer) == (422, "request.invalid"), wrong
    assert (await ada.client.get("/v1/circles")).json()["items"] == []
