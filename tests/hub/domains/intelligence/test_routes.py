"""What interactions show of a contact, over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.ids import new_id
from tests.fixtures.app import User

TODAY = datetime.now(UTC).replace(hour=0, minute=30)


async def add(user: User, name: str) -> str:
    answer = await user.client.post("/v1/contacts", json={"full_name": name, "company": "Navy"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def note(user: User, **fields: Any) -> None:
    answer = await user.client.post("/v1/interactions", json=fields)
    assert answer.status_code == 201, answer.text


@pytest.mark.req("CON-13", "CON-14")
async def test_a_contact_is_shown_with_rhythm_channels_and_whom_both_know(
    ada: User, admin: Any
) -> None:
    grace, alan, boole = [await add(ada, name) for name in ("Grace", "Alan", "Boole")]
    await ada.client.patch("/v1/me", json={"timezone": "Asia/Tokyo"})
    for weeks in range(1, 6):
        await note(
            ada,
            contact_id=grace,
            kind="call",
            direction="outbound",
            occurred_at=(TODAY - timedelta(days=7 * weeks - 2)).isoformat(),
        )
    await note(
        ada,
        contact_id=alan,
        kind="meeting",
        occurred_at=(TODAY - timedelta(days=40)).isoformat(),
        participants=[{"role": "attendee", "contact_id": grace}],
    )
    await admin.execute(
        """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind, strength)
        VALUES ($1, least($2::uuid, $3), greatest($2::uuid, $3), 'friend', 0.9)""",
        ada.id,
        grace,
        boole,
    )
    answer = await ada.client.get(f"/v1/contacts/{grace}/intelligence")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["profile"]["full_name"], shown["profile"]["company"]) == ("Grace", "Navy")
    assert (shown["frequency"]["interactions"], shown["frequency"]["median_gap_days"]) == (6, 7)
    assert [(item["kind"], item["interactions"]) for item in shown["channels"]] == [
        ("call", 5),
        ("meeting", 1),
    ]
    assert shown["directions"]["balance"] == 1
    assert shown["usual_time"]["hour"] == 9  # half past midnight is half past nine in Tokyo
    assert shown["expected_next"]["gaps"] == 5
    assert not shown["expected_next"]["is_overdue"]
    assert [
        (item["full_name"], item["link_strength"], item["shared_interactions"])
        for item in shown["mutual_contacts"]
    ] == [("Boole", 0.9, 0), ("Alan", None, 1)]


async def test_nothing_is_known_of_a_stranger(ada: User, grace: User) -> None:
    hers = await add(grace, "Alan")
    for contact in (hers, new_id()):
        answer = await ada.client.get(f"/v1/contacts/{contact}/intelligence")
        assert (answer.status_code, answer.json()["code"]) == (404, "contact.not_found")


async def test_of_a_new_contact_nothing_is_expected(ada: User) -> None:
    answer = await ada.client.get(f"/v1/contacts/{await add(ada, 'Grace')}/intelligence")
    shown = answer.json()
    assert shown["frequency"]["interactions"] == 0
    assert (shown["expected_next"], shown["channels"], shown["mutual_contacts"]) == (None, [], [])
