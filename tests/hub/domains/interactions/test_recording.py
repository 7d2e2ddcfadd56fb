"""An interaction is recorded once, however often and by whomever it is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from core.actor import SYSTEM, Actor
from core.db import Conflict, Pool, begin
from core.errors import DomainError
from core.ids import UserId, new_id
from hub.domains.contacts import service as contacts
from hub.domains.interactions import rules, service
from hub.domains.interactions.schemas import NewInteraction, NewParticipant
from tests.fixtures.locks import SECONDS, until_somebody_waits
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user

CALL = NewInteraction(
    kind="call",
    occurred_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    source="phone",
    external_id="call-1",
    direction="inbound",
    duration_seconds=90,
    metadata={"number": {"type": "mobile"}},
)


@pytest_asyncio.fixture
async def pools(database: Database) -> AsyncIterator[tuple[Pool, Pool]]:
    """Return pools of the interface and of the hub's own processes."""
    api, system = await Pool.open(database.api_url), await Pool.open(database.system_url)
    yield api, system
    await api.close()
    await system.close()


def user(user_id: UUID) -> Actor:
    return Actor(kind="user", user_id=UserId(user_id))


async def contact_of(admin: Any, owner: UUID) -> UUID:
    return await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name) VALUES ($1, 'Grace') RETURNING id", owner
    )


@pytest.mark.req("INT-01")
async def test_what_its_source_told_before_is_known(admin: Any, pools: tuple[Pool, Pool]) -> None:
    ada = await create_user(admin, "Ada")
    async with begin(pools[0], user(ada)) as tx:
        first = await service.record(tx, CALL)
        again = await service.record(tx, CALL)
    async with begin(pools[1], SYSTEM) as tx:
        by_machine = await service.record(tx, CALL, owner_id=ada)
    assert (first is not None, again, by_machine) == (True, None, None)
    assert await admin.fetchval("SELECT count(*) FROM interactions") == 1


async def test_each_of_two_users_and_of_two_sources_has_its_own(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    for name in ("Ada", "Grace"):
        owner = await create_user(admin, name)
        async with begin(pools[1], SYSTEM) as tx:
            for source in ("phone", "import"):
                told = msgspec.structs.replace(CALL, source=source)
                assert await service.record(tx, told, owner_id=owner) is not None


async def test_a_batch_says_which_of_it_is_new_in_its_order(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    items = [msgspec.structs.replace(CALL, external_id=name) for name in ("b", "a", "b")]
    async with begin(pools[0], user(ada)) as tx:
        assert await service.record(tx, items[1]) is not None
        made = await service.record_many(tx, items)
    assert made[0] is not None
    assert made[1:] == [None, None]
    assert (
        await admin.fetchval("SELECT external_id FROM interactions WHERE id = $1", made[0]) == "b"
    )


async def test_what_is_recorded_is_announced_without_its_words(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    grace = await contact_of(admin, ada)
    told = msgspec.structs.replace(CALL, contact_id=grace, subject="secret", content="secret")
    async with begin(pools[0], user(ada)) as tx:
        made = await service.record(tx, told)
        await service.record(tx, told)
    events = await admin.fetch("SELECT * FROM events WHERE type = 'interaction.recorded'")
    assert [(event["user_id"], event["subject_id"]) for event in events] == [(ada, made)]
    assert msgspec.json.decode(events[0]["payload"]) == {
        "interaction_id": str(made),
        "contact_id": str(grace),
        "kind": "call",
        "direction": "inbound",
        "occurred_at": "2026-11-20T09:30:00+00:00",
        "is_private": False,
    }
    entries = await admin.fetch("SELECT * FROM audit_log WHERE resource_type = 'interactions'")
    assert [entry["resource_id"] for entry in entries] == [str(made)]
    assert "secret" not in str(entries)


async def test_what_is_recorded_of_two_contacts_waits_for_their_merge_in_its_order(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    pair = [await contact_of(admin, ada) for _ in range(2)]
    told = [
        msgspec.structs.replace(CALL, contact_id=contact, external_id=f"call-{n}")
        for n, contact in enumerate(reversed(pair))
    ]

    async def record() -> None:
        async with begin(pools[1], SYSTEM) as tx:
            assert None not in await service.record_many(tx, told, owner_id=ada)

    async with begin(pools[0], user(ada)) as tx:
        await contacts.hold_with_rows(tx, pair[:1])
        recording = asyncio.create_task(record())
        await until_somebody_waits(admin)
        # As the one statement of a merge goes on to the second one.
        await contacts.hold_with_rows(tx, pair[1:])
    await asyncio.wait_for(recording, SECONDS)
    assert await admin.fetchval("SELECT count(*) FROM interactions") == 2


async def test_a_contact_remembers_the_last_time_that_has_been(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    grace = await contact_of(admin, ada)
    at = [CALL.occurred_at.replace(day=day) for day in (10, 12, 11)]
    ahead = datetime(2126, 1, 1, tzinfo=UTC)
    items = [
        msgspec.structs.replace(CALL, contact_id=grace, occurred_at=when, external_id=str(when))
        for when in (*at, ahead)
    ]
    async with begin(pools[0], user(ada)) as tx:
        for item in items:
            await service.record(tx, item)
    last = await admin.fetchval("SELECT last_interaction_at FROM contacts WHERE id = $1", grace)
    assert last == at[1]


async def test_nobody_records_for_another_nor_with_another_s_contact(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada, eve = await create_user(admin, "Ada"), await create_user(admin, "Eve")
    foreign = await contact_of(admin, ada)
    with pytest.raises(DomainError, match="Forbidden"):
        async with begin(pools[0], user(eve)) as tx:
            await service.record(tx, CALL, owner_id=ada)
    for contact in (foreign, new_id()):
        with pytest.raises(Conflict):
            async with begin(pools[0], user(eve)) as tx:
                await service.record(tx, msgspec.structs.replace(CALL, contact_id=contact))
    assert await admin.fetchval("SELECT count(*) FROM interactions") == 0


async def test_with_the_account_everything_goes(admin: Any, pools: tuple[Pool, Pool]) -> None:
    ada, eve = await create_user(admin, "Ada"), await create_user(admin, "Eve")
    for owner in (ada, eve):
        who = await contact_of(admin, owner)
        told = msgspec.structs.replace(
            CALL, contact_id=who, participants=[NewParticipant(role="from", contact_id=who)]
        )
        async with begin(pools[0], user(owner)) as tx:
            await service.record(tx, told)
    await admin.execute("DELETE FROM users WHERE id = $1", ada)
    for table in ("interactions", "interaction_participants"):
        assert await admin.fetchval(f"SELECT array_agg(user_id) FROM {table}") == [eve]


async def test_a_participant_is_as_private_as_the_interaction_and_at_its_time(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    who = [NewParticipant(role="from", contact_id=await contact_of(admin, ada))]
    async with begin(pools[0], user(ada)) as tx:
        made = await service.record(tx, msgspec.structs.replace(CALL, participants=who))
    seen = "SELECT occurred_at, is_private FROM interaction_participants"
    assert await admin.fetch(seen) == [(CALL.occurred_at, False)]
    later = CALL.occurred_at.replace(hour=10)
    change = "UPDATE interactions SET occurred_at = $2, is_private = true WHERE id = $1"
    await admin.execute(change, made, later)
    assert await admin.fetch(seen) == [(later, True)]


async def test_what_outlives_its_contact_is_with_nobody(
    admin: Any, pools: tuple[Pool, Pool]
) -> None:
    ada = await create_user(admin, "Ada")
    who = await contact_of(admin, ada)
    async with begin(pools[0], user(ada)) as tx:
        await service.record(tx, msgspec.structs.replace(CALL, contact_id=who))
    await admin.execute("DELETE FROM contacts WHERE id = $1", who)
    assert await admin.fetch("SELECT contact_id FROM interactions") == [(None,)]


async def test_a_time_beyond_the_calendar_is_its_end(admin: Any, pools: tuple[Pool, Pool]) -> None:
    ada = await create_user(admin, "Ada")
    # Of a year before the first, which nothing could read any more.
    ahead = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    async with begin(pools[0], user(ada)) as tx:
        await service.record(tx, msgspec.structs.replace(CALL, occurred_at=ahead))
    assert await admin.fetchval("SELECT occurred_at FROM interactions") == rules.EARLIEST
