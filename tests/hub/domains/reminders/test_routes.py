"""Reminders over REST, and how each of them is told of once."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import begin
from core.errors import DomainError
from hub.domains.reminders import service, tasks
from tests.fixtures.app import Running, User

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CALL = {"title": "Call Grace", "due_local": "2026-11-21T13:00", "timezone": "Europe/Berlin"}
TYPE = "reminder.due"
DUE = f"SELECT count(*) FROM events WHERE type = '{TYPE}'"


@pytest.fixture(autouse=True)
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Hold the clock at noon; return what sets it."""

    def hold(at: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: at)

    hold(NOW)
    return hold


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def fire(hub: Running) -> bool:
    async with begin(hub.resources.system, SYSTEM) as tx:
        return await tasks.fire_due(tx)


async def add(user: User, **more: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/reminders", json=CALL | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.req("REL-08")
async def test_what_is_due_is_told_of_once_though_two_workers_look(
    hub: Running, ada: User, admin: Any
) -> None:
    made = await add(ada)
    assert (made["due_at"], made["status"]) == ("2026-11-21T12:00:00Z", "open")
    later = await add(ada, due_local="2026-11-21T13:01")
    await asyncio.gather(*(fire(hub) for _ in range(4)))
    await fire(hub)
    assert await admin.fetchval(DUE) == 1
    [row] = await admin.fetch(
        "SELECT payload ->> 'reminder_id' AS id, user_id FROM events WHERE type = 'reminder.due'"
    )
    assert tuple(row) == (made["id"], ada.id)
    assert (await ada.client.get(f"/v1/reminders/{later['id']}")).json()["fired_at"] is None
    fired = (await ada.client.get(f"/v1/reminders/{made['id']}")).json()["fired_at"]
    assert fired == "2026-11-21T12:00:00Z"


async def test_a_worker_that_dies_while_it_tells_has_told_nothing_and_the_next_one_tells_once(
    hub: Running, ada: User, admin: Any
) -> None:
    await add(ada)
    died = False
    try:
        async with begin(hub.resources.system, SYSTEM) as tx:
            await tasks.fire_due(tx)
            await fire(hub)  # whoever looks meanwhile waits for nobody, and tells of nothing
            assert await admin.fetchval(DUE) == 0
            connection = await tx.connection()
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await connection.execute("SELECT 1")
    except (
        DomainError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
    ):
        died = True
    assert died
    assert await admin.fetchval(DUE) == 0
    await asyncio.gather(fire(hub), fire(hub))
    assert await admin.fetchval(DUE) == 1


async def test_what_came_due_while_nothing_ran_is_told_of_once_afterwards(
    hub: Running,
    ada: User,
    admin: Any,
    set_clock: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for hour in (14, 15, 16):
        await add(ada, due_local=f"2026-11-21T{hour}:00", recurrence="FREQ=DAILY")
    set_clock(NOW + timedelta(days=5))
    monkeypatch.setattr(service, "FIRED_AT_ONCE", 2)
    assert [await fire(hub) for _ in range(3)] == [True, False, False]
    rows = await admin.fetch("SELECT payload ->> 'due_at' AS due FROM events WHERE type = $1", TYPE)
    # The open occurrence of each, not the four that were missed after it.
    assert sorted(row["due"][:13] for row in rows) == [
        "2026-11-21T13",
        "2026-11-21T14",
        "2026-11-21T15",
    ]


@pytest.mark.req("REL-08")
async def test_done_opens_the_next_occurrence_to_come_and_skips_what_was_missed(
    hub: Running, ada: User, admin: Any, set_clock: Callable[[datetime], None]
) -> None:
    made = await add(ada, recurrence="freq=daily")
    await fire(hub)
    set_clock(NOW + timedelta(days=3, hours=5))
    done = await ada.client.post(f"/v1/reminders/{made['id']}/done")
    assert done.status_code == 200, done.text
    assert done.json()["due_at"] == "2026-11-25T12:00:00Z"
    assert (done.json()["status"], done.json()["fired_at"]) == ("open", None)
    await fire(hub)
    assert await admin.fetchval(DUE) == 1
    set_clock(NOW + timedelta(days=4))
    await fire(hub)
    assert await admin.fetchval(DUE) == 2


async def test_a_reminder_without_a_rule_is_over_when_it_is_done(ada: User) -> None:
    made = await add(ada)
    path = f"/v1/reminders/{made['id']}"
    assert (await ada.client.post(f"{path}/done")).json()["status"] == "done"
    for what, body in (
        ("done", None),
        ("dismiss", None),
        ("snooze", {"until": "2026-12-01T00:00:00Z"}),
    ):
        answer = await ada.client.post(f"{path}/{what}", json=body)
        assert refusal(answer) == (409, "reminder.closed")
    anew = await ada.client.patch(path, json={"due_local": "2026-12-24T18:00"})
    assert (anew.json()["status"], anew.json()["due_at"]) == ("open", "2026-12-24T17:00:00Z")


async def test_what_is_snoozed_is_told_of_again_at_that_time(
    hub: Running, ada: User, admin: Any, set_clock: Callable[[datetime], None]
) -> None:
    made = await add(ada)
    path = f"/v1/reminders/{made['id']}"
    await fire(hub)
    until = NOW + timedelta(hours=1)
    answer = await ada.client.post(f"{path}/snooze", json={"until": until.isoformat()})
    assert answer.json()["snoozed_until"] == "2026-11-21T13:00:00Z"
    await fire(hub)
    assert await admin.fetchval(DUE) == 1
    set_clock(until)
    await fire(hub)
    await fire(hub)
    assert await admin.fetchval(DUE) == 2
    for wrong in (NOW, NOW + timedelta(days=400)):
        answer = await ada.client.post(f"{path}/snooze", json={"until": wrong.isoformat()})
        assert refusal(answer) == (422, "reminder.time_invalid")


async def test_what_is_dismissed_is_not_told_of(hub: Running, ada: User, admin: Any) -> None:
    made = await add(ada, recurrence="FREQ=DAILY")
    answer = await ada.client.post(f"/v1/reminders/{made['id']}/dismiss")
    assert answer.json()["status"] == "dismissed"
    await fire(hub)
    assert await admin.fetchval(DUE) == 0


async def test_nobody_else_sees_or_changes_a_reminder(ada: User, grace: User) -> None:
    path = f"/v1/reminders/{(await add(ada))['id']}"
    assert (await grace.client.get("/v1/reminders")).json()["items"] == []
    for method, end, body in (
        ("GET", "", None),
        ("PATCH", "", {"title": "Mine"}),
        ("DELETE", "", None),
        ("POST", "/done", None),
        ("POST", "/dismiss", None),
        ("POST", "/snooze", {"until": "2026-12-01T00:00:00Z"}),
    ):
        answer = await grace.client.request(method, path + end, json=body)
        assert refusal(answer) == (404, "reminder.not_found"), (method, end)
    contact = await ada.client.post("/v1/contacts", json={"full_name": "Charles Babbage"})
    theirs = {"contact_id": contact.json()["id"]}
    answer = await grace.client.post("/v1/reminders", json=CALL | theirs)
    assert refusal(answer) == (404, "contact.not_found")
    mine = await ada.client.post("/v1/reminders", json=CALL | theirs)
    assert mine.json()["contact_id"] == theirs["contact_id"]


async def test_bad_times_rules_and_zones_are_refused_and_nothing_is_kept(ada: User) -> None:
    for wrong, code in (
        ({"recurrence": "FREQ=MINUTELY"}, "reminder.recurrence_invalid"),
        ({"recurrence": "FREQ=SECONDLY;COUNT=1000000000"}, "reminder.recurrence_invalid"),
        ({"recurrence": "FREQ=DAILY;COUNT=1000000000"}, "reminder.recurrence_invalid"),
        ({"recurrence": "FREQ=DAILY;UNTIL=00010101"}, "reminder.recurrence_invalid"),
        ({"recurrence": "FREQ=DAILY;UNTIL=20270101T000060"}, "reminder.recurrence_invalid"),
        ({"recurrence": "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=999"}, "reminder.recurrence_invalid"),
        ({"due_local": "9999-12-31T23:59"}, "reminder.time_invalid"),
        ({"due_local": "0001-01-01T00:00"}, "reminder.time_invalid"),
        ({"timezone": "localtime"}, "reminder.time_invalid"),
        ({"timezone": "posix/Europe/Berlin"}, "reminder.time_invalid"),
        ({"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "reminder.recurrence_invalid"),
        ({"due_local": "2026-02-30T10:00"}, "reminder.time_invalid"),
        ({"timezone": "Mars/Olympus"}, "reminder.time_invalid"),
    ):
        answer = await ada.client.post("/v1/reminders", json=CALL | wrong)
        assert refusal(answer) == (422, code)
    assert (await ada.client.get("/v1/reminders")).json()["items"] == []


async def test_a_rule_of_a_calendar_ends_in_utc_and_is_kept_as_clocks_show_it(ada: User) -> None:
    made = await add(ada, recurrence="RRULE:FREQ=DAILY;UNTIL=20261122T120000Z")
    assert made["recurrence"] == "FREQ=DAILY;UNTIL=20261122T130000"
    path = f"/v1/reminders/{made['id']}"
    assert (await ada.client.post(f"{path}/done")).json()["due_at"] == "2026-11-22T12:00:00Z"
    assert (await ada.client.post(f"{path}/done")).json()["status"] == "done"


async def test_the_account_s_time_zone_holds_where_none_is_named(ada: User) -> None:
    await ada.client.patch("/v1/me", json={"timezone": "Asia/Kolkata"})
    answer = await ada.client.post(
        "/v1/reminders", json={"title": "Tea", "due_local": "2026-11-22T09:00"}
    )
    assert (answer.json()["timezone"], answer.json()["due_at"]) == (
        "Asia/Kolkata",
        "2026-11-22T03:30:00Z",
    )


async def test_a_list_comes_in_pages_in_the_order_of_what_is_due(ada: User) -> None:
    for hour in (15, 13, 14):
        await add(ada, due_local=f"2026-11-21T{hour}:00")
    first = (await ada.client.get("/v1/reminders", params={"limit": 2})).json()
    rest = await ada.client.get("/v1/reminders", params={"cursor": first["next_cursor"]})
    due = [item["due_at"][11:13] for item in (*first["items"], *rest.json()["items"])]
    assert due == ["12", "13", "14"]
    done = await ada.client.get("/v1/reminders", params={"status": "done"})
    assert done.json()["items"] == []


async def test_done_twice_for_what_was_read_once_skips_nothing(ada: User) -> None:
    made = await add(ada, recurrence="FREQ=WEEKLY")
    path = f"/v1/reminders/{made['id']}"
    read = (await ada.client.get(path)).headers["etag"]
    first = await ada.client.post(f"{path}/done", headers={"If-Match": read})
    again = await ada.client.post(f"{path}/done", headers={"If-Match": read})
    assert refusal(again) == (412, "request.precondition_failed")
    assert (await ada.client.get(path)).json() == first.json()
    changed = await ada.client.patch(path, json={"title": "Write to Grace", "note": "Soon."})
    assert changed.json()["due_at"] == first.json()["due_at"]
    assert (await ada.client.delete(path)).status_code == 204


async def test_no_more_reminders_than_anybody_needs(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REMINDERS_MAX", 1)
    await add(ada)
    answer = await ada.client.post("/v1/reminders", json=CALL)
    assert refusal(answer) == (409, "reminder.limit")


async def test_nobody_is_reminded_of_who_is_part_of_another_contact(ada: User) -> None:
    kept, merged = [
        (await ada.client.post("/v1/contacts", json={"full_name": "Ada"})).json()["id"]
        for _ in range(2)
    ]
    path = f"/v1/reminders/{(await add(ada))['id']}"
    done = await ada.client.post(f"/v1/contacts/{kept}/merge", json={"merged_id": merged})
    assert done.is_success
    theirs = {"contact_id": merged}
    assert refusal(await ada.client.post("/v1/reminders", json=CALL | theirs))[0] == 410
    assert refusal(await ada.client.patch(path, json=theirs)) == (410, "contact.merged")
