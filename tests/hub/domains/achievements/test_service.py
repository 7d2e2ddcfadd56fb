"""Each event counts once, whatever comes twice; days in a row follow the user's own midnight."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.achievements import service, tasks
from hub.domains.events.schemas import Event
from tests.fixtures.app import Running, User

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Hold the clock at noon; return what sets it."""

    def hold(at: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: at)

    hold(NOON)
    return hold


def event(
    user_id: UUID | None, kind: str = "ring.tapped", at: datetime = NOON, **payload: Any
) -> Event:
    payload_json = msgspec.Raw(msgspec.json.encode(payload))
    return Event(new_id(), kind, user_id, new_id(), payload_json, at)


async def count(hub: Running, *events: Event) -> None:
    for one in events:
        async with begin(hub.resources.system, SYSTEM) as tx:
            await tasks.count(tx, one)


async def own(user: User) -> dict[str, dict[str, Any]]:
    answer = (await user.client.get("/v1/me/achievements")).json()
    return {item["code"]: item for item in (*answer["unlocked"], *answer["begun"])}


async def streaks(user: User) -> dict[str, tuple[int, int]]:
    items = (await user.client.get("/v1/me/streaks")).json()["items"]
    return {item["kind"]: (item["current_length"], item["max_length"]) for item in items}


@pytest.mark.req("ACH-01", "ACH-02", "ACH-05")
async def test_an_event_that_comes_again_counts_once(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    tap = event(ada.id)
    await asyncio.gather(*(count(hub, tap, tap) for _ in range(3)))
    mine = await own(ada)
    assert (mine["first_tap"]["percent"], mine["first_tap"]["unlocked_at"]) == (
        100,
        "2026-11-21T12:00:00Z",
    )
    assert (mine["taps_100"]["current_value"], mine["taps_100"]["percent"]) == (1, 1)
    assert await own(grace) == {}
    told = await admin.fetch(
        "SELECT user_id, payload ->> 'code' AS code FROM events WHERE type = 'achievement.unlocked'"
    )
    assert [tuple(row) for row in told] == [(ada.id, "first_tap")]
    await count(hub, event(ada.id))
    assert (await own(ada))["taps_100"]["current_value"] == 2


@pytest.mark.req("ACH-03", "ACH-04")
async def test_messages_exchanges_and_goals_count_for_their_own(hub: Running, ada: User) -> None:
    kinds = ("message.sent", "touch.exchanged", "goal.achieved", "flags.changed")
    await count(hub, *(event(ada.id, kind) for kind in kinds), event(None), event(new_id()))
    unlocked = {code for code, item in (await own(ada)).items() if item["unlocked_at"]}
    assert unlocked == {"first_message", "first_exchange", "first_goal"}


async def test_what_is_unlocked_stays_and_the_next_step_counts_on(
    hub: Running, ada: User, admin: Any
) -> None:
    await admin.execute(
        """UPDATE achievements SET rule = jsonb_set(rule, '{target}', '2')
        WHERE code = 'messages_100'"""
    )
    await count(hub, *(event(ada.id, "message.sent") for _ in range(3)))
    mine = await own(ada)
    assert (mine["messages_100"]["current_value"], mine["messages_100"]["target_value"]) == (2, 2)
    assert mine["messages_100"]["unlocked_at"] is not None
    assert (
        await admin.fetchval("SELECT count(*) FROM events WHERE type = 'achievement.unlocked'") == 2
    )


async def test_a_tap_that_came_late_counts_for_the_day_on_which_it_was_made(
    hub: Running, ada: User
) -> None:
    # A gateway had no network for two days; the clock of the last tap is ahead.
    for days in (2, 1, -1):
        await count(hub, event(ada.id, tapped_at=NOON - timedelta(days=days)))
    assert (await streaks(ada))["contact"] == (3, 3)
    # Whose time nobody knows was made when it came.
    await count(hub, event(ada.id, tapped_at=None))
    assert (await streaks(ada))["contact"] == (3, 3)


@pytest.mark.req("HAB-03")
async def test_days_in_a_row_are_counted_by_the_user_s_own_midnight(
    hub: Running, ada: User, admin: Any, set_clock: Callable[[datetime], None]
) -> None:
    await ada.client.patch("/v1/me", json={"timezone": "Asia/Kolkata"})
    # 18:29 and 18:31 in UTC are two days in India, 18:31 and 06:00 of the next day are one.
    for at in (
        datetime(2026, 11, 21, 18, 29, tzinfo=UTC),
        datetime(2026, 11, 21, 18, 31, tzinfo=UTC),
        datetime(2026, 11, 22, 6, 0, tzinfo=UTC),
    ):
        await count(hub, event(ada.id, at=at))
    set_clock(datetime(2026, 11, 22, 7, 0, tzinfo=UTC))
    assert await streaks(ada) == {"contact": (2, 2)}
    late = datetime(2026, 11, 19, 6, 0, tzinfo=UTC)
    await count(hub, event(ada.id, at=late))
    assert await streaks(ada) == {"contact": (2, 2)}
    set_clock(datetime(2026, 11, 24, 7, 0, tzinfo=UTC))
    assert await streaks(ada) == {"contact": (0, 2)}
    await count(hub, event(ada.id, at=datetime(2026, 11, 24, 6, 0, tzinfo=UTC)))
    assert await streaks(ada) == {"contact": (1, 2)}
    rows = await admin.fetch("SELECT length, ended_on::text FROM streaks ORDER BY started_on")
    assert [tuple(row) for row in rows] == [(2, "2026-11-22"), (1, None)]


@pytest.mark.req("HAB-03")
async def test_days_in_a_row_are_the_same_in_whichever_order_workers_count_them(
    hub: Running, ada: User, admin: Any, set_clock: Callable[[datetime], None]
) -> None:
    # The worker with the message of the third day was slow, and so was that with the sixth.
    for day in (0, 1, 3, 2, 4, 6, 5, 2):
        await count(hub, event(ada.id, "message.sent", NOON + timedelta(days=day)))
    set_clock(NOON + timedelta(days=6))
    assert await streaks(ada) == {"contact": (7, 7)}
    assert (await own(ada))["contact_week"]["unlocked_at"] is not None
    rows = await admin.fetch("SELECT length, ended_on FROM streaks")
    assert [tuple(row) for row in rows] == [(7, None)]


@pytest.mark.req("HAB-03")
async def test_a_week_in_a_row_is_an_achievement_and_a_break_takes_nothing_away(
    hub: Running, ada: User, admin: Any
) -> None:
    days = [NOON + timedelta(days=day) for day in range(7)]
    await count(hub, *(event(ada.id, "message.sent", at) for at in days))
    mine = await own(ada)
    assert mine["contact_week"]["unlocked_at"] == "2026-11-27T12:00:00Z"
    assert mine["contact_month"]["current_value"] == 7
    await count(hub, event(ada.id, at=NOON + timedelta(days=10)))
    assert (await own(ada))["contact_month"]["current_value"] == 7
    assert (
        await admin.fetchval(
            "SELECT payload ->> 'length' FROM events WHERE type = 'streak.milestone'"
        )
        == "7"
    )


@pytest.mark.req("HAB-03")
async def test_whoever_comes_back_each_day_has_a_streak_of_being_here(
    hub: Running, ada: User, grace: User, admin: Any, set_clock: Callable[[datetime], None]
) -> None:
    async def visit(at: datetime) -> None:
        await admin.execute("UPDATE sessions SET created_at = $2 WHERE user_id = $1", ada.id, at)
        await admin.execute("DELETE FROM sessions WHERE user_id = $1", grace.id)
        set_clock(at + timedelta(minutes=5))
        for _ in range(2):
            async with begin(hub.resources.system, SYSTEM) as tx:
                assert not await tasks.count_visits(tx)

    for day in (0, 1, 2):
        await visit(NOON + timedelta(days=day))
    assert await admin.fetchval("SELECT length FROM streaks WHERE user_id = $1", ada.id) == 3
    assert await admin.fetchval("SELECT count(*) FROM streaks WHERE user_id = $1", grace.id) == 0
    await visit(NOON + timedelta(days=4))
    lengths = await admin.fetch("SELECT length FROM streaks ORDER BY started_on")
    assert [row["length"] for row in lengths] == [3, 1]


async def test_all_that_can_be_achieved_is_listed_with_its_rules(ada: User) -> None:
    items = (await ada.client.get("/v1/achievements")).json()["items"]
    rules = {item["code"]: item["rule"] for item in items}
    assert rules["taps_100"] == {"type": "event_count", "event_type": "ring.tapped", "target": 100}
    assert rules["contact_week"] == {"type": "streak_length", "kind": "contact", "target": 7}
    ids = {item["id"]: item["code"] for item in items}
    parents = {item["code"]: ids[item["parent_id"]] for item in items if item["parent_id"]}
    assert parents["taps_1000"] == "taps_100"


async def test_which_events_were_counted_is_forgotten_after_a_month(
    hub: Running, ada: User, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await count(hub, event(ada.id), event(ada.id, "message.sent"))
    await admin.execute(
        """UPDATE achievement_increments SET created_at = now() - interval '31 days'
        WHERE achievement_id <> (SELECT id FROM achievements WHERE code = 'first_message')"""
    )
    monkeypatch.setattr(service, "PURGED_AT_ONCE", 1)
    left = True
    while left:
        async with begin(hub.resources.system, SYSTEM) as tx:
            left = await tasks.purge_increments(tx)
    assert await admin.fetchval("SELECT count(*) FROM achievement_increments") == 1
