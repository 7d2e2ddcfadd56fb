"""From a contact that is noted down to the socket that tells of it, by way of relay and worker."""

from datetime import timedelta

import pytest

from core import clock
from tests.fixtures.app import User
from tests.fixtures.working import listening


@pytest.mark.req("REL-10")
@pytest.mark.usefixtures("working")
async def test_a_change_of_health_arrives_live_after_each_contact(ada: User, address: str) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    async with listening(ada, address, "health") as ear:
        scores: list[float] = []
        for days_ago in (300, 0):
            occurred_at = clock.now() - timedelta(days=days_ago)
            noted = await ada.client.post(
                "/v1/interactions",
                json={
                    "contact_id": contact,
                    "kind": "call",
                    "direction": "mutual",
                    "occurred_at": occurred_at.isoformat(),
                },
            )
            assert noted.status_code == 201, noted.text
            health = await ear.told("health.changed")
            assert health["contact_id"] == contact
            scores.append(health["score"])
    assert scores[0] < scores[1]
    shown = (await ada.client.get(f"/v1/contacts/{contact}/health")).json()
    assert shown["score"] == scores[-1]


@pytest.mark.req("REL-10")
@pytest.mark.usefixtures("working")
async def test_a_meeting_of_three_warms_all_three_live(ada: User, address: str) -> None:
    people = [
        (await ada.client.post("/v1/contacts", json={"full_name": name})).json()["id"]
        for name in ("Grace", "Joan", "Mary")
    ]
    async with listening(ada, address, "health") as ear:
        noted = await ada.client.post(
            "/v1/interactions",
            json={
                "kind": "meeting",
                "participants": [{"role": "attendee", "contact_id": one} for one in people],
            },
        )
        assert noted.status_code == 201, noted.text
        told = {(await ear.told("health.changed"))["contact_id"] for _ in people}
    assert told == set(people)
    scores = [
        (await ada.client.get(f"/v1/contacts/{one}/health")).json()["score"] for one in people
    ]
    assert len(set(scores)) == 1
