"""An app reports calls under its own ids, when there was no network too, and each once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import User, idempotency_key

CALLED_AT = datetime(2026, 11, 12, 18, 5, 31, 250_000, UTC)
PHONE = "+44 20 7946 0000"


def call(**fields: Any) -> dict[str, Any]:
    """Return what an app notes down when a call is over."""
    return {
        "external_id": str(uuid4()),
        "kind": "call",
        "direction": "inbound",
        "occurred_at": CALLED_AT.isoformat(),
        "duration_seconds": 754,
        "participants": [{"role": "from", "address_kind": "phone", "address": PHONE}],
        **fields,
    }


async def send(user: User, told: dict[str, Any], **headers: str) -> httpx.Response:
    return await user.client.post("/v1/interactions", json=told, headers=headers)


async def timeline(user: User, **params: Any) -> list[dict[str, Any]]:
    answer = await user.client.get("/v1/interactions", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def add(user: User, name: str, phone: str) -> str:
    methods = [{"kind": "phone", "value": phone}]
    answer = await user.client.post("/v1/contacts", json={"full_name": name, "methods": methods})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.req("INT-01")
async def test_a_call_without_network_is_one_interaction_at_its_own_time_however_often_it_is_sent(
    ada: User, admin: Any
) -> None:
    grace = await add(ada, "Grace", "+442079460000")
    told = call()
    first = await send(ada, told)
    assert first.status_code == 201, first.text
    # Without an answer an app sends again, days later under another key, or with none.
    for headers in ({}, idempotency_key(), idempotency_key()):
        again = await send(ada, told, **headers)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["location"] == f"/v1/interactions/{first.json()['id']}"
    [met] = await timeline(ada)
    assert (met["contact_id"], met["external_id"], met["kind"]) == (
        grace,
        told["external_id"],
        "call",
    )
    assert (met["direction"], met["duration_seconds"]) == ("inbound", 754)
    assert datetime.fromisoformat(met["occurred_at"]) == CALLED_AT
    assert [who["address"] for who in first.json()["participants"]] == [PHONE]
    announced = "SELECT count(*) FROM events WHERE type = 'interaction.recorded'"
    assert await admin.fetchval(announced) == 1
    assert await admin.fetchval("SELECT count(*) FROM interaction_participants") == 1


async def test_what_is_sent_many_times_at_once_is_noted_once(ada: User) -> None:
    told = call()
    answers = await asyncio.gather(*(send(ada, told) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await timeline(ada)) == 1


async def test_two_people_and_two_calls_have_ids_of_their_own(ada: User, grace: User) -> None:
    told = call()
    for user in (ada, grace):
        assert (await send(user, told)).status_code == 201
        assert (await send(user, call())).status_code == 201
        assert len(await timeline(user)) == 2


async def test_what_was_changed_meanwhile_stays_changed_and_what_was_taken_away_is_new_again(
    ada: User,
) -> None:
    grace = await add(ada, "Grace", PHONE)
    told = call(subject="Compilers")
    path = f"/v1/interactions/{(await send(ada, told)).json()['id']}"
    assert (await ada.client.patch(path, json={"subject": "Linkers"})).is_success
    assert (await send(ada, told)).json()["subject"] == "Linkers"
    assert await timeline(ada, text="compilers") == []
    assert len(await timeline(ada, text="linkers")) == 1

    async def last() -> str | None:
        return (await ada.client.get(f"/v1/contacts/{grace}")).json()["last_interaction_at"]

    assert datetime.fromisoformat(str(await last())) == CALLED_AT
    assert (await ada.client.delete(path)).status_code == 204
    assert (await last(), await timeline(ada, text="linkers")) == (None, [])
    again = await send(ada, told)
    assert (again.status_code, again.json()["subject"]) == (201, "Compilers")
    assert await last() is not None


async def test_a_key_learns_nothing_of_a_private_call_by_its_id(ada: User, new_key: NewKey) -> None:
    told = call(is_private=True, subject="Doctor")
    assert (await send(ada, told)).status_code == 201
    key = await new_key(ada, "interactions:read", "interactions:write")
    guessed = call(external_id=told["external_id"])
    answer = await key.client.post("/v1/interactions", json=guessed)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
    assert "Doctor" not in answer.text
    assert [item["subject"] for item in await timeline(ada)] == ["Doctor"]


async def test_a_call_that_is_none_leaves_nothing(ada: User) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    wrong: list[tuple[str, Any]] = [
        *(("external_id", text) for text in ("", " ", "a b", "a\n", "\u0000", "é", "x" * 201, 7)),
        *(("duration_seconds", number) for number in (-1, 1.5, "60", 2**40)),
        *(("occurred_at", at) for at in (ahead, CALLED_AT.timestamp(), "0000-01-01T00:00:00Z")),
        *(("participants", [{"role": "from", "address": text}]) for text in ("nobody", "\u0000")),
    ]
    for field, value in wrong:
        answer = await send(ada, call(**{field: value}))
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), value
        [fault] = answer.json()["errors"]
        assert fault["field"].startswith(field), fault
    assert await timeline(ada) == []


async def test_of_many_who_took_part_those_are_named_who_are_nobody(ada: User) -> None:
    there = [{"role": "to", "address": text} for text in ("nobody", "a@example.com", "", "b@")]
    del there[2]["address"]
    made = await send(ada, call())
    for answer in (
        await send(ada, call(participants=there)),
        await ada.client.patch(
            f"/v1/interactions/{made.json()['id']}", json={"subject": "Call", "participants": there}
        ),
    ):
        assert answer.json()["code"] == "request.invalid"
        named = [fault["field"] for fault in answer.json()["errors"]]
        assert named == ["participants[0]", "participants[2]", "participants[3]"]
    [kept] = await timeline(ada)
    assert kept["subject"] is None
