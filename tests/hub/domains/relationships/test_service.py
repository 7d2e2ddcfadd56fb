"""Health is computed after each contact and each night, from rows as from a list, and told once."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import asdict
from prometheus_client import REGISTRY

from core import clock
from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.relationships import queries, rules, service
from hub.domains.relationships.schemas import Values
from tests.fixtures.world import create_user
from tests.hub.domains.relationships.faded import NOW, Met, past_of

WEIGHT_NAMES = [f"{part}_weight" for part in Values.__struct_fields__]
CHANGED = "SELECT count(*) FROM events WHERE type = 'health.changed'"


@pytest.fixture
async def ada(admin: Any) -> UUID:
    return await create_user(admin, "Ada")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    now = [NOW]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    return now


async def add_contact(admin: Any, user: UUID, name: str = "Grace", **fields: Any) -> UUID:
    columns = ["user_id", "full_name", *fields]
    marks = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    return await admin.fetchval(
        f"INSERT INTO contacts ({', '.join(columns)}) VALUES ({marks}) RETURNING id",
        user,
        name,
        *fields.values(),
    )


async def meet(admin: Any, user: UUID, contact: UUID, *met: Met) -> None:
    await admin.executemany(
        """INSERT INTO interactions (
          user_id, contact_id, kind, direction, occurred_at, duration_seconds
        )
        VALUES ($1, $2, 'call', $3, $4, $5)""",
        [(user, contact, item.direction, item.at, item.seconds) for item in met],
    )


async def put_into_circle(admin: Any, user: UUID, contact: UUID, cadence_days: int) -> None:
    circle = await admin.fetchval(
        """INSERT INTO circles (user_id, name, tier, cadence_days) VALUES ($1, $2, 1, $3)
        RETURNING id""",
        user,
        f"every {cadence_days}",
        cadence_days,
    )
    await admin.execute(
        "INSERT INTO circle_members (user_id, circle_id, contact_id) VALUES ($1, $2, $3)",
        user,
        circle,
        contact,
    )


async def refresh(pool: Pool, user: UUID, contact: UUID) -> None:
    async with begin(pool, SYSTEM) as tx:
        await service.refresh(tx, user, contact)


async def pass_of_the_night(pool: Pool) -> int:
    """Run the daily pass to its end; return in how many transactions."""
    for count in range(100):
        async with begin(pool, SYSTEM) as tx:
            if not await service.recalculate(tx):
                return count
    raise AssertionError("the pass does not end")


async def health(admin: Any, contact: UUID) -> Any:
    return await admin.fetchrow("SELECT * FROM relationship_health WHERE contact_id = $1", contact)


@pytest.mark.req("REL-05")
async def test_rows_say_what_a_list_of_the_same_interactions_says(
    admin: Any, ada: UUID, system_pool: Pool
) -> None:
    chance = random.Random(6)
    types = [
        row["id"] for row in await admin.fetch("SELECT id FROM relationship_types ORDER BY name")
    ]
    asked: list[tuple[UUID, Any]] = []
    for number in range(8):
        contact = await add_contact(admin, ada, f"Contact {number}")
        cadence, kinds = chance.choice([1, 7, 90]), chance.sample(types, number % 3)
        await put_into_circle(admin, ada, contact, cadence + number * 100)
        for kind in kinds:
            await admin.execute(
                """INSERT INTO contact_relationship_types (
                  user_id, contact_id, type_owner_id, relationship_type_id
                )
                SELECT $1, $2, owner_id, id FROM relationship_types WHERE id = $3""",
                ada,
                contact,
                kind,
            )
        met = [
            Met(
                # One so old that PostgreSQL's power() would refuse it, unbounded.
                chance.choice([0.1, 0.3, 3, 400, 15_000]) + chance.random(),
                chance.choice(["inbound", "outbound", "mutual"]),
                chance.choice([0, 60, 7200]),
            )
            for _ in range(number * 3)
        ]
        await meet(admin, ada, contact, *met, Met(-3))
        rate = await admin.fetchval(
            "SELECT coalesce(avg(decay_rate), 1) FROM relationship_types WHERE id = ANY ($1)", kinds
        )
        asked.append((contact, (met, cadence + number * 100, float(rate))))
    async with begin(system_pool, SYSTEM) as tx:
        rows = await queries.read_pasts.all(tx, [ada] * 8, [contact for contact, _ in asked], NOW)
    found = {row.contact_id: row for row in rows}
    for contact, (met, cadence, rate) in asked:
        row = found[contact]
        expected = asdict(past_of(met, cadence_days=cadence, decay_rate=rate, since=row.since))
        for name in ("user_id", "contact_id", *WEIGHT_NAMES):
            expected.pop(name)
        for name, value in expected.items():
            told = getattr(row, name)
            assert told == (pytest.approx(value) if isinstance(value, float) else value), name
        weights = [getattr(row, name) for name in WEIGHT_NAMES]
        assert sum(weights) == pytest.approx(1)


async def test_whoever_was_never_met_and_is_wanted_nowhere_has_no_health(
    admin: Any, ada: UUID, system_pool: Pool
) -> None:
    stranger = await add_contact(admin, ada)
    wanted = await add_contact(admin, ada, "Wanted", frequency="monthly")
    kept = await add_contact(admin, ada, "Kept")
    await put_into_circle(admin, ada, kept, 7)
    for contact in (stranger, wanted, kept):
        await refresh(system_pool, ada, contact)
    assert await health(admin, stranger) is None
    assert (await health(admin, wanted))["score"] > 0
    row = await health(admin, kept)
    assert row["last_touch_at"] is None
    assert row["next_touch_at"] - datetime.now(UTC) < timedelta(days=7)


@pytest.mark.req("REL-05")
async def test_contact_raises_a_score_at_once(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await add_contact(admin, ada)
    await put_into_circle(admin, ada, contact, 14)
    await meet(admin, ada, contact, Met(60), Met(74))
    await refresh(system_pool, ada, contact)
    before = await health(admin, contact)
    await meet(admin, ada, contact, Met(0))
    await refresh(system_pool, ada, contact)
    after = await health(admin, contact)
    assert after["score"] > before["score"] + rules.TOLD_POINTS
    assert after["strength"] > before["strength"]
    assert after["next_touch_at"] == NOW + timedelta(days=14)
    assert await admin.fetchval(CHANGED) == 2, "the first, and the rise"
    await refresh(system_pool, ada, contact)
    assert await admin.fetchval(CHANGED) == 2, "again is harmless"
    kept = await admin.fetchval("SELECT strength FROM contacts WHERE id = $1", contact)
    assert kept == round(after["strength"], 2)


@pytest.mark.req("REL-06", "REL-09", "JOB-01")
async def test_each_night_all_scores_fall_a_little_and_are_kept(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH_CONTACTS", 2)
    eve = await create_user(admin, "Eve")
    contacts: list[UUID] = []
    for user in (ada, ada, ada, eve):
        contact = await add_contact(admin, user)
        await meet(admin, user, contact, Met(1, seconds=600))
        await put_into_circle(admin, user, contact, 5 + len(contacts))
        await refresh(system_pool, user, contact)
        contacts.append(contact)
    before = {contact: await health(admin, contact) for contact in contacts}
    assert await pass_of_the_night(system_pool) >= 16, "each shard, in batches"
    assert await pass_of_the_night(system_pool) == 0, "once a day"
    begun = REGISTRY.get_sample_value("pinghub_health_night_timestamp_seconds")
    assert begun == datetime(2026, 11, 21, 3, tzinfo=UTC).timestamp()
    for _ in range(4):
        time[0] += timedelta(days=1)
        await pass_of_the_night(system_pool)
    for contact in contacts:
        row = await health(admin, contact)
        assert row["computed_at"] == time[0]
        assert row["score"] < before[contact]["score"]
        days = await admin.fetch(
            "SELECT * FROM health_snapshots WHERE contact_id = $1 ORDER BY taken_on", contact
        )
        assert [day["taken_on"].day for day in days] == [21, 22, 23, 24, 25]
        scores = [day["score"] for day in days]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] == round(row["score"])
    where = "SELECT DISTINCT tableoid::regclass::text FROM health_snapshots"
    assert len(await admin.fetch(where)) == 1


async def test_a_day_on_which_nothing_changes_writes_no_snapshot(
    admin: Any, ada: UUID, system_pool: Pool, time: list[datetime]
) -> None:
    contact = await add_contact(admin, ada)
    await meet(admin, ada, contact, Met(4000))
    await refresh(system_pool, ada, contact)
    time[0] += timedelta(days=1)
    await pass_of_the_night(system_pool)
    assert (await health(admin, contact))["computed_at"] == time[0]
    assert await admin.fetchval("SELECT count(*) FROM health_snapshots") == 1


async def test_whoever_is_archived_has_no_health_until_they_are_back(
    admin: Any, ada: UUID, system_pool: Pool
) -> None:
    contact = await add_contact(admin, ada)
    await meet(admin, ada, contact, Met(4))
    await refresh(system_pool, ada, contact)
    await admin.execute("UPDATE contacts SET archived_at = now() WHERE id = $1", contact)
    await refresh(system_pool, ada, contact)
    assert await health(admin, contact) is None
    await admin.execute("UPDATE contacts SET archived_at = NULL WHERE id = $1", contact)
    await refresh(system_pool, ada, contact)
    assert await health(admin, contact) is not None


@pytest.mark.req("REL-06")
async def test_snapshots_of_months_that_are_over_for_two_years_go(
    admin: Any, system_pool: Pool
) -> None:
    await admin.execute("SELECT app.create_partitions(1)")
    child = "CREATE TABLE health_snapshots_{0} PARTITION OF health_snapshots FOR VALUES {1}"
    now = await admin.fetchval("SELECT date_trunc('month', now())::date")
    kept, old = (
        (now.replace(year=now.year - 2) - timedelta(days=n)).replace(day=1) for n in (0, 1)
    )
    for first in (kept, old):
        until = (first + timedelta(days=32)).replace(day=1)
        values = f"FROM ('{first}') TO ('{until}')"
        await admin.execute(child.format(f"{first:%Y_%m}", values))
        await admin.execute(f"ALTER TABLE health_snapshots_{first:%Y_%m} OWNER TO ping_owner")
    ada = await create_user(admin, "Ada")
    for day in (old - timedelta(days=40), kept, now):
        await admin.execute(
            """INSERT INTO health_snapshots (user_id, contact_id, taken_on, score)
            SELECT user_id, id, $2, 50 FROM contacts WHERE user_id = $1""",
            ada,
            day,
        )
    async with begin(system_pool, SYSTEM) as tx:
        assert not await service.forget_snapshots(tx)
    left = await admin.fetch("SELECT taken_on FROM health_snapshots ORDER BY taken_on")
    assert [row["taken_on"] for row in left] == [kept, now]
    there = "SELECT to_regclass($1) IS NOT NULL"
    assert await admin.fetchval(there, f"health_snapshots_{kept:%Y_%m}")
    assert not await admin.fetchval(there, f"health_snapshots_{old:%Y_%m}")
    assert await admin.fetchval(there, "health_snapshots_default")
