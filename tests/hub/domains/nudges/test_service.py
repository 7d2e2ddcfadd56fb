"""In the morning of their own day users are reminded, once for each occasion."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core import clock
from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.nudges import rules, service
from hub.domains.relationships import service as relationships
from tests.fixtures.world import create_user

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    now = [NOW]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    return now


async def create_person(admin: Any, name: str, zone: str = "UTC") -> UUID:
    user = await create_user(admin, name)
    await admin.execute("UPDATE users SET timezone = $2 WHERE id = $1", user, zone)
    return user


async def add_contact(admin: Any, user: UUID, name: str, **fields: Any) -> UUID:
    columns = ["user_id", "full_name", *fields]
    marks = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    return await admin.fetchval(
        f"INSERT INTO contacts ({', '.join(columns)}) VALUES ({marks}) RETURNING id",
        user,
        name,
        *fields.values(),
    )


async def set_health(
    admin: Any,
    user: UUID,
    contact: UUID,
    *,
    next_touch_at: datetime,
    fell_at: datetime | None = None,
    strength: float = 0.5,
) -> None:
    await admin.execute(
        """INSERT INTO relationship_health (
          user_id, contact_id, score, strength, band, trend, components, next_touch_at, band_since,
          fell_at, baseline, told_score, computed_at
        )
        VALUES ($1, $2, 30, $5, 'cooling', 'falling', '{}', $3, now(), $4, 30, 30, now())""",
        user,
        contact,
        next_touch_at,
        fell_at,
        strength,
    )


async def look(pool: Pool) -> None:
    async with begin(pool, SYSTEM) as tx:
        assert not await service.look(tx)


async def nudges(admin: Any) -> list[tuple[str, str]]:
    rows = await admin.fetch(
        """SELECT n.kind, c.full_name FROM nudges AS n JOIN contacts AS c ON c.id = n.contact_id
        ORDER BY n.kind, c.full_name"""
    )
    return [(row["kind"], row["full_name"]) for row in rows]


@pytest.mark.req("REL-11")
async def test_each_kind_has_its_reason(
    admin: Any, system_pool: Pool, time: list[datetime]
) -> None:
    ada = await create_person(admin, "Ada")
    later = NOW + timedelta(days=30)
    cold = await add_contact(admin, ada, "Cold", frequency="weekly")
    await set_health(admin, ada, cold, next_touch_at=later, fell_at=NOW - timedelta(days=1))
    due = await add_contact(admin, ada, "Due", frequency="weekly")
    await set_health(admin, ada, due, next_touch_at=NOW + timedelta(hours=10))
    letters = await add_contact(admin, ada, "Newsletter")
    await set_health(admin, ada, letters, next_touch_at=NOW, fell_at=NOW)
    await add_contact(admin, ada, "Born", birthday=date(1990, 11, 21))
    await add_contact(admin, ada, "Not today", birthday=date(1990, 12, 21))
    await add_contact(admin, ada, "Gone", birthday=date(1990, 11, 21), archived_at=NOW)
    hired = await add_contact(admin, ada, "Hired", job_title="Author")
    await admin.execute("UPDATE contacts SET job_title = 'Engineer' WHERE id = $1", hired)
    await admin.execute("UPDATE events SET occurred_at = $1", NOW)
    await look(system_pool)
    expected = [
        ("birthday", "Born"),
        ("follow_up", "Due"),
        ("going_cold", "Cold"),
        ("job_change", "Hired"),
    ]
    assert await nudges(admin) == expected
    told = await admin.fetchval("SELECT count(*) FROM events WHERE type = 'nudge.created'")
    assert told == len(expected)
    await look(system_pool)
    for _ in range(3):
        time[0] += timedelta(days=1)
        await look(system_pool)
    assert await nudges(admin) == expected, "each occasion once"


@pytest.mark.req("REL-11")
async def test_it_is_morning_where_the_user_is(
    admin: Any, system_pool: Pool, time: list[datetime]
) -> None:
    for name, zone in (
        ("London", "Europe/London"),
        ("New York", "America/New_York"),
        ("Auckland", "Pacific/Auckland"),
        ("Nowhere", "Mars/Olympus"),
    ):
        user = await create_person(admin, name, zone)
        # It is the 21st in London and New York, and the 21st still in Auckland at 21:30.
        await add_contact(admin, user, f"of {name}", birthday=date(2000, 11, 21))
        await add_contact(admin, user, f"next day of {name}", birthday=date(2000, 11, 22))
    await look(system_pool)
    assert await nudges(admin) == [
        ("birthday", "of Auckland"),
        ("birthday", "of London"),
        ("birthday", "of Nowhere"),
    ]
    time[0] = datetime(2026, 11, 21, 12, 59, tzinfo=UTC)
    await look(system_pool)
    assert ("birthday", "of New York") not in await nudges(admin), "a minute before eight"
    time[0] = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
    await look(system_pool)
    assert ("birthday", "of New York") in await nudges(admin)


async def test_many_come_on_several_mornings_the_closest_first(
    admin: Any, system_pool: Pool, time: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "A_MORNING_MAX", 2)
    ada = await create_person(admin, "Ada")
    for number in range(3):
        contact = await add_contact(admin, ada, f"Friend {number}", frequency="weekly")
        fell_at = NOW - timedelta(days=2)
        later = NOW + timedelta(days=30)
        await set_health(
            admin, ada, contact, next_touch_at=later, fell_at=fell_at, strength=number / 10
        )
    await look(system_pool)
    assert await nudges(admin) == [("going_cold", "Friend 1"), ("going_cold", "Friend 2")]
    time[0] += timedelta(days=1)
    await look(system_pool)
    assert ("going_cold", "Friend 0") in await nudges(admin)


def test_who_was_born_on_a_leap_day_has_a_birthday_each_year() -> None:
    assert rules.birthdays_on(date(2026, 2, 28)) == [28, 29]
    assert rules.birthdays_on(date(2028, 2, 28)) == [28]
    assert rules.birthdays_on(date(2028, 2, 29)) == [29]
    assert rules.birthdays_on(date(2026, 4, 30)) == [30]


@pytest.mark.req("REL-11")
async def test_who_was_born_on_a_leap_day_is_congratulated_once_a_year(
    admin: Any, system_pool: Pool, time: list[datetime]
) -> None:
    ada = await create_person(admin, "Ada", "Pacific/Auckland")
    await add_contact(admin, ada, "Leap", birthday=date(2000, 2, 29))
    await add_contact(admin, ada, "Leap of a year nobody knows", birthday=date(1604, 2, 29))
    days: list[date] = []
    for year in (2027, 2028):
        # From the 27th to the 1st, eleven in the morning where she is.
        for day in range(4):
            time[0] = datetime(year, 2, 26, 22, tzinfo=UTC) + timedelta(days=day)
            before = await admin.fetchval("SELECT count(*) FROM nudges")
            await look(system_pool)
            if await admin.fetchval("SELECT count(*) FROM nudges") == before + 2:
                days.append((time[0] + timedelta(hours=13)).date())
    assert days == [date(2027, 2, 28), date(2028, 2, 29)]
    assert len(await nudges(admin)) == 4


async def test_a_year_later_a_nudge_goes_open_or_not(
    admin: Any, system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FORGOTTEN_MAX", 2)
    ada = await create_user(admin, "Ada")
    await admin.execute(
        """INSERT INTO nudges (user_id, contact_id, kind, occasion, status, closed_at, created_at)
        SELECT c.user_id, c.id, 'follow_up', n::text,
          CASE WHEN n % 2 = 0 THEN 'done' ELSE 'open' END,
          CASE WHEN n % 2 = 0 THEN now() END, now() - interval '1 day' * n
        FROM contacts AS c, unnest(ARRAY[0, 1, 364, 366, 367, 800]) AS n WHERE c.user_id = $1""",
        ada,
    )
    audited = await admin.fetchval("SELECT count(*) FROM audit_log")
    rounds = 0
    left = True
    while left:
        rounds += 1
        async with begin(system_pool, SYSTEM) as tx:
            left = await service.forget(tx)
    assert rounds == 2
    kept = await admin.fetch("SELECT occasion FROM nudges ORDER BY occasion::int")
    assert [row["occasion"] for row in kept] == ["0", "1", "364"]
    assert await admin.fetchval("SELECT count(*) FROM audit_log") == audited, "nobody's decision"


@pytest.mark.req("REL-07", "REL-08")
async def test_whom_one_is_in_touch_with_one_is_no_longer_reminded_of(
    admin: Any, system_pool: Pool, time: list[datetime]
) -> None:
    ada = await create_person(admin, "Ada")
    contact = await add_contact(
        admin, ada, "Grace", frequency="weekly", birthday=date(1990, 11, 21)
    )
    met = """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
    VALUES ($1, $2, 'call', $3)"""

    async def meet(days_ago: float) -> list[str]:
        """Return of what Ada is still reminded after it."""
        await admin.execute(met, ada, contact, time[0] - timedelta(days=days_ago))
        async with begin(system_pool, SYSTEM) as tx:
            await relationships.refresh(tx, ada, contact)
        rows = await admin.fetch("SELECT kind FROM nudges WHERE status = 'open' ORDER BY kind")
        return [row["kind"] for row in rows]

    assert await meet(12) == []
    fell = "UPDATE relationship_health SET band = 'cooling', fell_at = $1"
    await admin.execute(fell, NOW - timedelta(days=1))
    await look(system_pool)
    expected = ["birthday", "follow_up", "going_cold"]
    assert await meet(9) == expected, "the next one is overdue all the same"
    assert await meet(13) == expected
    assert await meet(0.1) == ["birthday"]
    answered = "SELECT count(*) FROM audit_log WHERE resource_type = 'nudges'"
    assert await admin.fetchval(answered) == 0, "by a rule, and by nobody"
    closed = await admin.fetch("SELECT status, closed_at FROM nudges WHERE kind <> 'birthday'")
    assert {row["status"] for row in closed} == {"done"}
    assert all(row["closed_at"] for row in closed)
