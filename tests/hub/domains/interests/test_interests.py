"""What contacts care about is believed the more it is seen, and fades."""

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import SYSTEM
from core.db import begin
from hub.domains.interests import rules, service
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User

SHARE = st.floats(0, 1)
FACTOR = st.floats(0.01, 1)
SECONDS = st.floats(0, 4e8)


@given(SHARE, FACTOR, SECONDS, SECONDS)
@pytest.mark.req("CON-11")
def test_time_takes_away_the_same_in_steps_or_at_once(confidence, factor, one, other):
    stepwise = rules.faded(rules.faded(confidence, factor, one), factor, other)
    assert stepwise == pytest.approx(rules.faded(confidence, factor, one + other), abs=1e-9)
    assert 0 <= stepwise <= confidence


@given(SHARE, st.lists(SHARE, max_size=6))
def test_signs_only_raise_and_in_any_order_alike(confidence, weights):
    forth, back = confidence, confidence
    for weight in weights:
        assert forth <= rules.reinforced(forth, weight) <= 1
        forth = rules.reinforced(forth, weight)
    for weight in reversed(weights):
        back = rules.reinforced(back, weight)
    assert forth == pytest.approx(back)


def test_a_month_leaves_as_much_as_its_factor_says() -> None:
    assert rules.faded(0.8, 0.9, 30 * 24 * 3600) == pytest.approx(0.72)
    assert rules.faded(0.8, 0.9, -5) == 0.8


@pytest.mark.req("CON-10", "CON-11")
async def test_interests_are_said_seen_and_forgotten(
    hub: Running, ada: User, admin: asyncpg.Connection
) -> None:
    made = await ada.client.post("/v1/contacts", json={"full_name": "Charles"})
    contact = made.json()["id"]
    path = f"/v1/contacts/{contact}/interests"
    said = {"category": " Sport ", "topic": "Chess  Problems", "confidence": 0.5}
    put = (await ada.client.post(path, json=said)).json()
    assert (put["category"], put["topic"], put["evidence_count"]) == ("sport", "chess problems", 1)
    await ada.client.post(path, json={"category": "music", "topic": "opera", "confidence": 0.3})
    met = (await ada.client.post("/v1/interactions", json={"contact_id": contact})).json()["id"]
    evidence = f"{path}/{put['id']}/evidence"
    seen = await asyncio.gather(
        *(ada.client.put(f"{evidence}/{met}", json={"weight": 0.5}) for _ in range(3))
    )
    assert [answer.json()["confidence"] for answer in seen] == pytest.approx([0.75] * 3, abs=1e-6)
    items = (await ada.client.get(path)).json()["items"]
    assert [(item["topic"], item["evidence_count"]) for item in items] == [
        ("chess problems", 2),
        ("opera", 1),
    ]
    support = await ada.client.get(evidence)
    assert support.json()["items"] == [{"interaction_id": met}]
    who = await ada.client.get("/v1/interests", params={"category": "Sport"})
    assert [item["full_name"] for item in who.json()["items"]] == ["Charles"]
    for expected in (204, 404):
        assert (await ada.client.delete(f"{path}/{items[0]['id']}")).status_code == expected
    assert len((await ada.client.get(path)).json()["items"]) == 1
    await admin.execute("UPDATE interests SET decayed_at = now() - interval '60 days'")
    async with begin(hub.resources.system, SYSTEM) as tx:
        assert await service.fade(tx) is False
    expected_confidence = rules.faded(0.3, 0.9, 60 * 24 * 3600)
    stored = await admin.fetchval("SELECT confidence FROM interests")
    assert stored == pytest.approx(expected_confidence, rel=1e-6)
    async with begin(hub.resources.system, SYSTEM) as tx:
        await service.fade(tx)
    assert await admin.fetchval("SELECT confidence FROM interests") == stored


async def test_no_key_takes_what_is_private_for_a_sign_of_an_interest(
    ada: User, new_key: NewKey
) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Charles"})).json()["id"]
    path = f"/v1/contacts/{contact}/interests"
    put = (await ada.client.post(path, json={"category": "sport", "topic": "chess"})).json()
    private = {"contact_id": contact, "is_private": True}
    met = (await ada.client.post("/v1/interactions", json=private)).json()["id"]
    key = (await new_key(ada, "contacts:read", "contacts:write")).client
    evidence = f"{path}/{put['id']}/evidence"
    refused = await key.put(f"{evidence}/{met}", json={})
    assert (refused.status_code, refused.json()["code"]) == (404, "interaction.not_found")
    assert (await ada.client.put(f"{evidence}/{met}", json={})).json()["evidence_count"] == 2
    assert (await key.get(evidence)).json()["items"] == []
    assert len((await ada.client.get(evidence)).json()["items"]) == 1
