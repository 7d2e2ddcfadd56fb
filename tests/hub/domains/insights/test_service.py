"""Insights come on Monday at six and when a goal is set, each fact once, to its owner alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.events.schemas import Event, OutboxEvent
from hub.domains.insights import service, tasks
from hub.wiring.events import deliver
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User
from tests.fixtures.consents import allow

MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


async def tell(hub: Running, now: datetime) -> bool:
    async with begin(hub.resources.system, SYSTEM) as tx:
        return await service.tell_weekly(tx, now)


async def add_silence(admin: Any, user: User, name: str = "Charles Babbage") -> UUID:
    """Let somebody be met each day until a month ago."""
    contact = await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name, strength) VALUES ($1, $2, 0.8) RETURNING id",
        user.id,
        name,
    )
    for day in range(30, 36):
        await admin.execute(
            """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
            VALUES ($1, $2, 'call', $3)""",
            user.id,
            contact,
            MONDAY - timedelta(days=day),
        )
    return contact


async def listed(user: User) -> list[dict[str, Any]]:
    return (await user.client.get("/v1/insights")).json()["items"]


@pytest.mark.req("AGT-07", "AGT-08")
async def test_each_fact_is_told_once_however_many_workers_and_weeks(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    contact = await add_silence(admin, ada)
    await asyncio.gather(*(tell(hub, MONDAY) for _ in range(3)))
    [insight] = await listed(ada)
    assert (insight["kind"], insight["contact_ids"]) == ("anomaly", [str(contact)])
    assert "every day, and have not been for 30 days" in insight["content"]
    assert await listed(grace) == []
    assert await admin.fetchval("SELECT count(*) FROM evidence") == 1
    for week in (1, 2):
        await tell(hub, MONDAY + timedelta(weeks=week))
    assert [item["id"] for item in await listed(ada)] == [insight["id"]]
    [row] = await admin.fetch(
        """SELECT user_id, payload ->> 'insight_id' AS id FROM events
        WHERE type = 'insight.created'"""
    )
    assert tuple(row) == (ada.id, insight["id"])


async def test_nobody_is_told_before_it_is_monday_at_six_where_they_are(
    hub: Running, ada: User, admin: Any
) -> None:
    await ada.client.patch("/v1/me", json={"timezone": "America/Los_Angeles"})
    await tell(hub, MONDAY - timedelta(hours=1))
    await add_silence(admin, ada)
    await tell(hub, MONDAY)
    assert await listed(ada) == []
    await tell(hub, MONDAY + timedelta(hours=8))
    assert len(await listed(ada)) == 1


async def test_a_goal_tells_at_once_who_could_help_and_who_leads_there(
    hub: Running, ada: User, admin: Any
) -> None:
    ann, bob, cid = [
        await admin.fetchval(
            """INSERT INTO contacts (user_id, full_name, strength, job_title)
            VALUES ($1, $2, $3, $4) RETURNING id""",
            ada.id,
            *row,
        )
        for row in (("Ann", 0.9, None), ("Bob", 0.0, None), ("Cid", 0.2, "Compiler engineer"))
    ]
    await admin.execute(
        """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind)
        VALUES ($1, least($2::uuid, $3), greatest($2::uuid, $3), 'friend')""",
        ada.id,
        ann,
        bob,
    )
    body = {"kind": "mentor", "intention": "Write a compiler", "contact_id": str(bob)}
    goal = (await ada.client.post("/v1/goals", json=body)).json()
    payload = msgspec.Raw(msgspec.json.encode({"goal_id": goal["id"]}))
    told = Event(new_id(), "goal.set", ada.id, UUID(goal["id"]), payload, MONDAY)
    for _ in range(2):
        async with begin(hub.resources.system, SYSTEM) as tx:
            await tasks.look_at_goal(tx, told)
    found = {item["kind"]: item for item in await listed(ada)}
    assert set(found) == {"connection_path", "opportunity"}
    assert found["connection_path"]["title"] == "Ann leads to Bob"
    assert found["opportunity"]["contact_ids"] == [str(cid)]


async def test_a_way_that_begins_with_a_friend_who_is_no_contact_is_not_another_one_s(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    # Ada is Grace's friend, Grace knows Hedy, who is here and in Ada's address book.
    hedy = await admin.fetchval("INSERT INTO users (full_name) VALUES ('Hedy') RETURNING id")
    await admin.execute("SELECT app.befriend($1, $2, 'ring_tap')", ada.id, grace.id)
    target = None
    for owner, strength in ((grace.id, 0.9), (ada.id, 0.0)):
        target = await admin.fetchval(
            """INSERT INTO contacts (user_id, full_name, strength, linked_user_id, linked_by)
            VALUES ($1, 'Hedy', $2, $3, 'match') RETURNING id""",
            owner,
            strength,
            hedy,
        )
    for person in (grace.id, hedy):
        await allow(admin, person, "introductions")
    body = {"kind": "mentor", "intention": "Learn", "contact_id": str(target)}
    assert (await ada.client.post("/v1/goals", json=body)).is_success
    found = await ada.client.post("/v1/paths/find", json={"target_contact_id": str(target)})
    assert found.json()["length"] == 2
    await tell(hub, MONDAY)
    assert await listed(ada) == []


@pytest.fixture
def at_monday(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: MONDAY)


async def meet(
    hub: Running,
    admin: Any,
    user: User,
    contact: UUID,
    *,
    kind: str = "call",
    days_ago: int = 0,
    times: int = 1,
) -> None:
    """Have to do with a contact, and let the hub react as often as it likes; 0: it does not."""
    met = await admin.fetchval(
        """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
        VALUES ($1, $2, $3, $4) RETURNING id""",
        user.id,
        contact,
        kind,
        MONDAY - timedelta(days=days_ago),
    )
    row = await admin.fetchrow(
        "SELECT * FROM events WHERE type = 'interaction.recorded' AND subject_id = $1", met
    )
    payload = msgspec.Raw(row["payload"].encode())
    event = Event(row["id"], row["type"], user.id, met, payload, row["occurred_at"])
    told = OutboxEvent(1, event.id, event.type, user.id, met, payload, event.occurred_at)
    assert ("insights.look_at_meeting" in deliver(told, {}).consumers) == (times > 0)
    for _ in range(times):
        async with begin(hub.resources.system, SYSTEM) as tx:
            await tasks.look_at_meeting(tx, event)


@pytest.mark.usefixtures("at_monday")
async def test_whoever_is_back_after_a_long_silence_is_told_of_once(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    contact = await add_silence(admin, ada)
    await meet(hub, admin, ada, contact, times=2)
    await meet(hub, admin, ada, contact)
    [insight] = await listed(ada)
    assert (insight["title"], insight["actionable"]) == (
        "You are in touch with Charles Babbage again",
        False,
    )
    assert await admin.fetchval("SELECT count(*) FROM evidence") == 2
    assert await listed(grace) == []


@pytest.mark.usefixtures("at_monday")
async def test_a_meeting_tells_what_somebody_could_help_with_and_whom_they_know(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    ann, bob, cid = [
        await admin.fetchval(
            """INSERT INTO contacts (user_id, full_name, job_title) VALUES ($1, $2, $3)
            RETURNING id""",
            ada.id,
            *row,
        )
        for row in (("Ann", "Compiler engineer"), ("Bob", None), ("Cid", "Compiler engineer"))
    ]
    await admin.execute(
        """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind)
        VALUES ($1, least($2::uuid, $3), greatest($2::uuid, $3), 'friend')""",
        ada.id,
        ann,
        bob,
    )
    for who, topic in ((ann, "Chess"), (bob, "chess"), (bob, "golf"), (cid, "golf")):
        await add_interest(admin, ada, who, topic)
    await admin.execute(
        """INSERT INTO connection_goals (user_id, kind, intention, contact_id)
        VALUES ($1, 'mentor', 'Write a compiler', $2)""",
        ada.id,
        bob,
    )
    await meet(hub, admin, ada, ann, kind="message", times=0)
    await meet(hub, admin, ada, ann, days_ago=3, times=0)
    await meet(hub, admin, ada, ann)
    assert {(item["kind"], item["title"]) for item in await listed(ada)} == {
        ("opportunity", "Ann could help with a goal"),
        ("connection_path", "Ann leads to Bob"),
        ("common_interest", "Ann and Bob care about Chess"),
    }
    assert await listed(grace) == []


@pytest.mark.usefixtures("at_monday")
async def test_whoever_notes_down_a_lot_is_told_no_more_than_can_be_read(
    hub: Running, ada: User, admin: Any
) -> None:
    contact = await add_silence(admin, ada)
    await admin.execute(
        """INSERT INTO insights (user_id, kind, title, content, actionable, reason, created_at)
        SELECT $1, 'anomaly', 'x', 'x', true, n::text, $2 FROM generate_series(1, 10) AS n""",
        ada.id,
        MONDAY,
    )
    await meet(hub, admin, ada, contact)
    assert {item["title"] for item in await listed(ada)} == {"x"}


async def test_shared_interests_bring_contacts_together(
    hub: Running, ada: User, admin: Any
) -> None:
    for name in ("Ann", "Bob"):
        await admin.execute(
            """WITH c AS (
              INSERT INTO contacts (user_id, full_name) VALUES ($1, $2) RETURNING id
            )
            INSERT INTO interests (user_id, contact_id, category, topic)
            SELECT $1, id, 'topic', $3 FROM c""",
            ada.id,
            name,
            "Compilers" if name == "Ann" else "compilers",
        )
    await tell(hub, MONDAY)
    [insight] = await listed(ada)
    assert insight["kind"] == "common_interest"
    assert len(insight["contact_ids"]) == 2


async def test_what_there_was_no_room_for_is_told_the_week_after(
    hub: Running, ada: User, admin: Any
) -> None:
    for number in range(12):
        await add_silence(admin, ada, f"Person {number}")
    for week, told in ((0, 10), (1, 12), (2, 12)):
        await tell(hub, MONDAY + timedelta(weeks=week))
        assert len(await listed(ada)) == told


async def add_interest(admin: Any, user: User, contact: UUID, topic: str) -> None:
    await admin.execute(
        """INSERT INTO interests (user_id, contact_id, category, topic)
        VALUES ($1, $2, 'topic', $3)""",
        user.id,
        contact,
        topic,
    )


async def test_a_topic_is_news_when_one_more_cares_and_not_when_one_less_does(
    hub: Running, ada: User, admin: Any
) -> None:
    contacts = await admin.fetch(
        """INSERT INTO contacts (user_id, full_name) SELECT $1, unnest($2::text[]) RETURNING id""",
        ada.id,
        ["Ann", "Bob", "Cid"],
    )
    for (contact,) in contacts[:2]:
        await add_interest(admin, ada, contact, "Chess")
    for week, told in ((0, 1), (1, 2), (2, 2)):
        if week == 1:
            await add_interest(admin, ada, contacts[2][0], "chess")
        if week == 2:
            await admin.execute("DELETE FROM interests WHERE contact_id = $1", contacts[0][0])
        await tell(hub, MONDAY + timedelta(weeks=week))
        assert len(await listed(ada)) == told


async def test_an_insight_names_the_goal_it_serves_and_goes_with_it(
    hub: Running, ada: User, admin: Any
) -> None:
    await admin.execute(
        """INSERT INTO contacts (user_id, full_name, job_title)
        VALUES ($1, 'Cid', 'Compiler engineer')""",
        ada.id,
    )
    goals = [
        (await ada.client.post("/v1/goals", json={"kind": "mentor", "intention": aim})).json()["id"]
        for aim in ("Write a compiler", "Become an engineer")
    ]
    await tell(hub, MONDAY)
    assert {item["goal_id"] for item in await listed(ada)} == set(goals)
    done = await ada.client.patch(f"/v1/goals/{goals[0]}", json={"status": "achieved"})
    assert done.is_success
    [left] = await listed(ada)
    assert left["goal_id"] == goals[1]
    assert (await ada.client.delete(f"/v1/goals/{goals[1]}")).is_success
    assert await listed(ada) == []
    gone = await ada.client.get(f"/v1/insights/{left['id']}")
    assert gone.json()["code"] == "insight.not_found"


async def test_evidence_can_be_opened_but_by_no_key_once_it_is_private(
    hub: Running, ada: User, new_key: NewKey, admin: Any
) -> None:
    await add_silence(admin, ada)
    await tell(hub, MONDAY)
    [insight] = await listed(ada)
    [shown] = insight["interaction_ids"]
    path = f"/v1/interactions/{shown}"
    assert (await ada.client.get(path)).status_code == 200
    key = (await new_key(ada, "insights:read")).client
    for private, seen in ((False, [shown]), (True, [])):
        await ada.client.patch(path, json={"is_private": private})
        [item] = (await key.get("/v1/insights")).json()["items"]
        assert item["interaction_ids"] == seen
    assert (await listed(ada))[0]["interaction_ids"] == [shown]


async def test_what_is_dismissed_is_gone_and_what_was_done_is_noted(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    await add_silence(admin, ada)
    await tell(hub, MONDAY)
    [insight] = await listed(ada)
    path = f"/v1/insights/{insight['id']}"
    for what in ("act", "dismiss"):
        foreign = await grace.client.post(f"{path}/{what}")
        assert (foreign.status_code, foreign.json()["code"]) == (404, "insight.not_found")
    acted = await ada.client.post(f"{path}/act")
    assert acted.json()["acted_on_at"] is not None
    assert (await ada.client.post(f"{path}/act")).json() | {"updated_at": 0} == acted.json() | {
        "updated_at": 0
    }
    assert (await ada.client.get("/v1/insights", params={"kind": "anomaly"})).json()["items"]
    assert (await ada.client.post(f"{path}/dismiss")).json()["dismissed_at"] is not None
    assert await listed(ada) == []
    await tell(hub, MONDAY + timedelta(weeks=1))
    assert await listed(ada) == []
    assert (await ada.client.get(path)).json()["dismissed_at"] is not None


async def test_a_contact_that_goes_takes_the_evidence_of_nobody_else(
    hub: Running, ada: User, admin: Any
) -> None:
    await add_silence(admin, ada)
    await tell(hub, MONDAY)
    await admin.execute("DELETE FROM insights")
    assert await admin.fetchval("SELECT count(*) FROM evidence") == 0
