"""Insights come on Monday at six and when a goal is set, each fact once, to its owner alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.events.schemas import Event
from hub.domains.insights import service, tasks
from tests.fixtures.app import Running, User

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
