"""Health over REST: the list, one relationship with its parts in words, and its history."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from core import clock
from core.actor import SYSTEM
from core.db import begin, command
from hub.domains.relationships import rules, service
from tests.fixtures.app import Running, User

PATH = "/v1/contacts/{0}/health"

add_snapshot = command(
    "INSERT INTO health_snapshots (user_id, contact_id, taken_on, score) VALUES ($1, $2, $3, $4)",
    login="system",
)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def meet(hub: Running, user: User, name: str, *days_ago: float) -> str:
    """Add a contact who was met so many days ago; return its id."""
    contact = (await user.client.post("/v1/contacts", json={"full_name": name})).json()["id"]
    for days in days_ago:
        at = clock.now() - timedelta(days=days)
        noted = await user.client.post(
            "/v1/interactions",
            json={"contact_id": contact, "kind": "call", "occurred_at": at.isoformat()},
        )
        assert noted.status_code == 201, noted.text
    async with begin(hub.resources.system, SYSTEM) as tx:
        await service.refresh(tx, user.id, UUID(contact))
    return contact


@pytest.mark.req("REL-05")
async def test_relationships_are_listed_with_the_weakest_first(ada: User, hub: Running) -> None:
    warm = await meet(hub, ada, "Warm", 1, 20, 40)
    cold = await meet(hub, ada, "Cold", 900)
    await meet(hub, ada, "Unknown")
    first = (await ada.client.get("/v1/health", params={"limit": 1})).json()
    assert [(item["contact_id"], item["full_name"]) for item in first["items"]] == [(cold, "Cold")]
    rest = (await ada.client.get("/v1/health", params={"cursor": first["next_cursor"]})).json()
    assert [item["contact_id"] for item in rest["items"]] == [warm]
    assert rest["items"][0]["band"] == "thriving"
    found = (await ada.client.get("/v1/health", params={"band": "cold"})).json()["items"]
    assert [item["contact_id"] for item in found] == [cold]
    assert refusal(await ada.client.get("/v1/health", params={"band": "warm"}))[0] == 422


async def test_how_those_fare_whom_a_page_lists_is_one_question(ada: User, hub: Running) -> None:
    warm, cold, _ = [await meet(hub, ada, name, 10) for name in ("Warm", "Cold", "Other")]
    unknown = await meet(hub, ada, "Unknown")
    asked = {"contact_id": [warm, cold, unknown]}
    found = (await ada.client.get("/v1/health", params=asked)).json()["items"]
    assert {item["contact_id"] for item in found} == {warm, cold}
    alone = (await ada.client.get("/v1/health", params={"contact_id": [warm]})).json()["items"]
    assert [item["contact_id"] for item in alone] == [warm]
    many = {"contact_id": [unknown] * 201}
    assert refusal(await ada.client.get("/v1/health", params=many))[0] == 422


@pytest.mark.req("REL-05")
async def test_a_score_is_explained(ada: User, grace: User, hub: Running) -> None:
    contact = await meet(hub, ada, "Grace", 3)
    answer = await ada.client.get(PATH.format(contact))
    found = answer.json()
    assert sum(part["points"] for part in found["components"]) == pytest.approx(
        found["score"], abs=0.3
    )
    assert "3 days ago" in found["components"][0]["explanation"]
    assert found["cadence_days"] == 91
    same = await ada.client.get(
        PATH.format(contact), headers={"If-None-Match": answer.headers["etag"]}
    )
    assert same.status_code == 304
    unknown = await meet(hub, ada, "Unknown")
    assert refusal(await ada.client.get(PATH.format(unknown))) == (404, "health.unknown")
    assert refusal(await grace.client.get(PATH.format(contact))) == (404, "contact.not_found")
    assert (await grace.client.get("/v1/health")).json()["items"] == []


@pytest.mark.req("CON-03")
async def test_a_contact_says_how_close_it_is_when_it_last_was_and_how_often_it_is_wanted(
    ada: User, hub: Running
) -> None:
    contact = await meet(hub, ada, "Grace", 3, 30)
    path = f"/v1/contacts/{contact}"
    shown = (await ada.client.get(path)).json()
    health = (await ada.client.get(PATH.format(contact))).json()
    assert 0 < shown["strength"] < 1
    assert shown["strength"] == pytest.approx(health["strength"], abs=0.005)
    assert shown["last_interaction_at"] == health["last_touch_at"]
    assert (shown["frequency"], health["cadence_days"]) == (None, 91)
    classes = {"daily": 1, "weekly": 7, "monthly": 30, "quarterly": 91, "rarely": 182}
    for frequency, days in classes.items():
        changed = await ada.client.patch(path, json={"frequency": frequency})
        assert changed.json()["frequency"] == frequency
        async with begin(hub.resources.system, SYSTEM) as tx:
            await service.refresh(tx, ada.id, UUID(contact))
        assert (await ada.client.get(PATH.format(contact))).json()["cadence_days"] == days
    for wrong in ({"frequency": "hourly"}, {"strength": 1}, {"last_interaction_at": None}):
        refused = await ada.client.patch(path, json=wrong)
        assert refusal(refused) == (422, "request.invalid")


@pytest.mark.req("REL-06")
async def test_a_history_goes_back_page_by_page(ada: User, grace: User, hub: Running) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    async with begin(hub.resources.system, SYSTEM) as tx:
        for day, score in ((1, 80), (5, 75), (9, 70)):
            await add_snapshot.run(tx, ada.id, UUID(contact), date(2026, 11, day), score)
    path = PATH.format(contact) + "/history"
    first = (await ada.client.get(path, params={"limit": 2})).json()
    assert [item["taken_on"] for item in first["items"]] == ["2026-11-09", "2026-11-05"]
    rest = await ada.client.get(path, params={"cursor": first["next_cursor"]})
    assert rest.json()["items"] == [{"taken_on": "2026-11-01", "score": 80}]
    assert refusal(await grace.client.get(path)) == (404, "contact.not_found")


@pytest.mark.req("REL-06")
async def test_a_chart_has_as_many_points_as_it_asks_for(
    ada: User, grace: User, hub: Running
) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    path = PATH.format(contact) + "/series"
    assert (await ada.client.get(path)).json()["points"] == []
    async with begin(hub.resources.system, SYSTEM) as tx:
        for day, score in ((1, 80), (5, 75), (9, 70)):
            await add_snapshot.run(tx, ada.id, UUID(contact), date(2026, 9, day), score)
    range_ = {"since": "2026-09-03", "until": "2026-09-12"}
    daily = (await ada.client.get(path, params=range_)).json()
    assert (daily["contact_id"], daily["step_days"]) == (contact, 1)
    assert [point["score"] for point in daily["points"]] == [80] * 2 + [75] * 4 + [70] * 4
    coarse = (await ada.client.get(path, params={**range_, "points": 3})).json()
    assert coarse["step_days"] == 4
    assert coarse["points"] == [
        {"taken_on": "2026-09-06", "score": 75, "low": 75, "high": 80},
        {"taken_on": "2026-09-10", "score": 70, "low": 70, "high": 75},
        {"taken_on": "2026-09-12", "score": 70, "low": 70, "high": 70},
    ]
    lately = (await ada.client.get(path, params={"until": "9999-12-31"})).json()["points"]
    assert lately[-1]["taken_on"] == rules.health_day(clock.now()).isoformat(), "not in the future"
    for odd in ({"until": "0001-01-01"}, {"since": "9999-12-31"}):
        assert (await ada.client.get(path, params=odd)).json()["points"] == []
    for wrong in ({"points": 0}, {"points": 401}, {"since": "yesterday"}, {"until": "2026-02-30"}):
        assert refusal(await ada.client.get(path, params=wrong)) == (422, "request.invalid")
    assert refusal(await grace.client.get(path)) == (404, "contact.not_found")
