"""What contacts care about is believed the more it is seen, and fades."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import SYSTEM
from core.db import begin
from hub.domains.interests import rules, service
from hub.domains.interests.schemas import Evidence
from tests.fixtures.app import Running, User, user_actor

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
    sign = Evidence(contact_id=contact, category="SPORT", topic="chess problems", weight=0.5)
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        await service.reinforce(tx, sign)
    seen = await ada.client.post("/v1/interactions", json={"contact_id": contact})
    heard = Evidence(
        contact_id=contact, category="music", topic="opera", interaction_id=seen.json()["id"]
    )
    for _ in range(2):
        async with begin(hub.resources.system, SYSTEM) as tx:
            await service.reinforce(tx, heard, owner_id=ada.id)
    items = (await ada.client.get(path)).json()["items"]
    assert [(item["topic"], item["evidence_count"]) for item in items] == [
        ("chess problems", 2),
        ("opera", 1),
    ]
    assert [item["confidence"] for item in items] == [pytest.approx(0.75), 0.3]
    support = await ada.client.get(f"{path}/{items[1]['id']}/evidence")
    assert support.json()["items"] == [{"interaction_id": seen.json()["id"]}]
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
