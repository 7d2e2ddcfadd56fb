"""What is private stays with the person: it shows in nothing that an API key is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.insights import service as insights
from hub.http.scopes import MEANINGS
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User

MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


async def add(user: User, name: str) -> str:
    answer = await user.client.post("/v1/contacts", json={"full_name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def note(user: User, **fields: Any) -> str:
    answer = await user.client.post("/v1/interactions", json={"is_private": True, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.req("INT-03")
async def test_no_insight_rests_on_what_is_private(hub: Running, ada: User, admin: Any) -> None:
    grace = await add(ada, "Grace")
    now = datetime.now(UTC)
    for day in range(30, 36):
        await note(ada, contact_id=grace, occurred_at=(now - timedelta(days=day)).isoformat())

    async def told(week: int) -> list[str]:
        async with begin(hub.resources.system, SYSTEM) as tx:
            await insights.tell_weekly(tx, now + timedelta(weeks=week))
        return [item["kind"] for item in (await ada.client.get("/v1/insights")).json()["items"]]

    assert await told(1) == []
    met = await note(ada, contact_id=grace)
    async with begin(hub.resources.system, SYSTEM) as tx:
        owner = await admin.fetchval("SELECT user_id FROM interactions LIMIT 1")
        contact = await admin.fetchval("SELECT id FROM contacts WHERE full_name = 'Grace'")
        await insights.tell_of_meeting(tx, owner, contact, datetime.now(UTC))
    assert await told(2) == []
    await ada.client.delete(f"/v1/interactions/{met}")
    await admin.execute("UPDATE interactions SET is_private = false")
    assert await told(3) == ["anomaly"]


async def test_no_key_learns_in_which_private_interaction_an_interest_shows(
    ada: User, admin: Any, new_key: NewKey
) -> None:
    grace = await add(ada, "Grace")
    path = f"/v1/contacts/{grace}/interests"
    interest = await ada.client.post(path, json={"category": "sport", "topic": "Rowing"})
    told = interest.json()["id"]
    for private in (True, False):
        await note(ada, contact_id=grace, is_private=private)
    await admin.execute(
        """INSERT INTO evidence (user_id, subject_type, subject_id, interaction_id)
        SELECT user_id, 'interest', $1::uuid, id FROM interactions""",
        told,
    )
    key = (await new_key(ada, *MEANINGS)).client
    for client, seen in ((ada.client, 2), (key, 1)):
        answer = await client.get(f"{path}/{told}/evidence")
        assert len(answer.json()["items"]) == seen, answer.text


async def test_whatever_a_key_is_shown_has_neither_id_nor_words_of_it(
    ada: User, new_key: NewKey
) -> None:
    grace = await add(ada, "Grace")
    who = [{"role": "from", "contact_id": grace, "address": "canary@example.com"}]
    hidden = await note(ada, contact_id=grace, subject="canary", participants=who)
    key = (await new_key(ada, *MEANINGS)).client
    for path in (
        "/v1/interactions?count=true",
        f"/v1/interactions?contact_id={grace}",
        "/v1/interactions?kind=manual",
        "/v1/interactions?text=canary",
        "/v1/search/interactions?q=canary&count=true",
        f"/v1/contacts/{grace}/intelligence",
        f"/v1/contacts/{grace}",
        f"/v1/contacts/{grace}/health",
        f"/v1/contacts/{grace}/health/history",
        "/v1/contacts/export?format=json",
        "/v1/contacts/export?format=csv",
        "/v1/contacts/export?format=vcard",
        "/v1/contacts/export?format=ics",
        "/v1/health",
        "/v1/alerts",
        "/v1/insights",
    ):
        answer = await key.get(path)
        assert answer.status_code != 403, path
        assert hidden not in answer.text, path
        assert "canary" not in answer.text, path
        if "count" in path:
            assert answer.json()["total"]["count"] == 0
