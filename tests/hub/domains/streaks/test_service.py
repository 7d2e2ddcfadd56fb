"""Whoever is about to lose days in a row is told of it in the evening, where they are, once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.streaks import rules, service
from tests.fixtures.app import Running, User

TODAY = date(2026, 11, 23)


async def add_streak(
    admin: Any, user: User, *, last_day: date, length: int = 5, kind: str = "contact"
) -> None:
    await admin.execute(
        """INSERT INTO streaks (user_id, kind, started_on, length, max_length, last_event_at)
        VALUES ($1, $2, $3, $4, $4, $5)""",
        user.id,
        kind,
        last_day - timedelta(days=length - 1),
        length,
        datetime.combine(last_day, datetime.min.time(), UTC) + timedelta(hours=12),
    )


async def warn(hub: Running, now: datetime) -> bool:
    async with begin(hub.resources.system, SYSTEM) as tx:
        return await service.warn(tx, now)


async def told(admin: Any) -> list[tuple[Any, ...]]:
    rows = await admin.fetch(
        """SELECT user_id, payload ->> 'kind' AS kind, (payload ->> 'length')::int AS length,
          payload ->> 'at_risk_on' AS day
        FROM events WHERE type = 'streak.at_risk' ORDER BY id"""
    )
    return [tuple(row) for row in rows]


async def test_a_streak_that_ends_with_the_day_is_told_once_in_the_evening(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    await ada.client.patch("/v1/me", json={"timezone": "Asia/Kolkata"})
    await add_streak(admin, ada, last_day=TODAY - timedelta(days=1))
    await add_streak(admin, grace, last_day=TODAY)  # was active today
    # Eight o'clock in India is half past two in UTC.
    for minute in (0, 29):
        await warn(hub, datetime(2026, 11, 23, 14, minute, tzinfo=UTC))
    assert await told(admin) == []
    at_eight = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    await asyncio.gather(*(warn(hub, at_eight) for _ in range(3)))
    await warn(hub, at_eight + timedelta(hours=3))
    assert await told(admin) == [(ada.id, "contact", 5, "2026-11-23")]
    # Whoever goes on is told of it the next time that it is at risk.
    await admin.execute("UPDATE streaks SET length = 6, max_length = 6 WHERE user_id = $1", ada.id)
    await warn(hub, at_eight + timedelta(hours=3))
    await warn(hub, at_eight + timedelta(days=1))
    assert (await told(admin))[1:] == [(ada.id, "contact", 6, "2026-11-24")]


@pytest.mark.parametrize(
    ("days_ago", "length"),
    [(2, 5), (1, rules.LENGTH_MIN - 1)],
    ids=["it is over already", "it is too short to be missed"],
)
async def test_what_nobody_would_miss_is_not_told(
    hub: Running, ada: User, admin: Any, days_ago: int, length: int
) -> None:
    await add_streak(admin, ada, last_day=TODAY - timedelta(days=days_ago), length=length)
    await warn(hub, datetime(2026, 11, 23, 21, tzinfo=UTC))
    assert await told(admin) == []


async def test_whoever_is_here_today_is_not_told_before_that_is_counted(
    hub: Running, ada: User, grace: User, admin: Any
) -> None:
    for user, hour in ((ada, 12), (grace, -1)):
        await add_streak(admin, user, last_day=TODAY - timedelta(days=1), kind="login")
        await admin.execute(
            "UPDATE sessions SET created_at = $2 WHERE user_id = $1",
            user.id,
            datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hour),
        )
    await warn(hub, datetime(2026, 11, 23, 21, tzinfo=UTC))
    assert await told(admin) == [(grace.id, "login", 5, "2026-11-23")]


async def test_many_are_told_in_batches(
    hub: Running, ada: User, grace: User, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in (ada, grace):
        await add_streak(admin, user, last_day=TODAY - timedelta(days=1))
    monkeypatch.setattr(service, "WARNED_AT_ONCE", 1)
    evening = datetime(2026, 11, 23, 20, tzinfo=UTC)
    assert [await warn(hub, evening) for _ in range(3)] == [True, True, False]
    assert len(await told(admin)) == 2


@pytest.mark.parametrize(
    ("now", "zone", "day"),
    [
        ("2026-11-23T19:59", "UTC", None),
        ("2026-11-23T20:00", "UTC", "2026-11-23"),
        ("2026-11-23T23:59", "UTC", "2026-11-23"),
        ("2026-11-24T00:00", "UTC", None),
        ("2026-11-23T07:30", "Pacific/Auckland", "2026-11-23"),
        ("2026-11-24T05:00", "America/Los_Angeles", "2026-11-23"),
    ],
)
def test_an_evening_is_where_the_user_is(now: str, zone: str, day: str | None) -> None:
    found = rules.evening(datetime.fromisoformat(now).replace(tzinfo=UTC), ZoneInfo(zone))
    assert (None if found is None else found[0].isoformat()) == day
