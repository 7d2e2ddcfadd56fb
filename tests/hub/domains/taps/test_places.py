"""Where a ring was tapped is kept with its owner's consent only, and no longer than that."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from core.actor import SYSTEM
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin
from core.ids import new_id
from hub.domains.events.schemas import Event
from hub.domains.gateways.schemas import Message
from hub.domains.taps import service, tasks
from hub.domains.taps.mqtt import read_tap
from hub.domains.taps.service import RingKeys
from tests.fixtures.consents import allow, withdraw
from tests.fixtures.postgres import Database
from tests.fixtures.world import FIELD_KEYS, World, connect, create_world

PLACE = {"lat": 48.1, "lon": 11.5}


@pytest.fixture
def keys() -> RingKeys:
    return RingKeys(FieldCipher(KeyRing.parse(FIELD_KEYS)), 30.0)


async def record(pool: Pool, keys: RingKeys, *messages: Message) -> set[str]:
    arrivals = [arrival for message in messages if (arrival := read_tap(message)) is not None]
    return {item.verdict for item in await service.record(pool, keys, arrivals)}


async def places(admin: Any) -> list[tuple[float | None, float | None]]:
    rows = await admin.fetch("SELECT lat, lon FROM ring_taps ORDER BY seq")
    return [(row["lat"], row["lon"]) for row in rows]


async def withdrawal(admin: Any) -> Event:
    """Return the event that the worker reacts to."""
    row = await admin.fetchrow(
        """SELECT id, type, user_id, subject_id, payload, occurred_at FROM events
        WHERE type = 'consent.withdrawn' ORDER BY id DESC LIMIT 1"""
    )
    assert row is not None
    fields = dict(row)
    return Event(**{**fields, "payload": msgspec.Raw(fields["payload"].encode())})


@pytest.mark.req("ACC-13")
async def test_without_consent_the_tap_is_kept_and_its_place_is_not(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    other = await create_world(admin, "Grace Hopper")
    await allow(admin, world.user_id, "contact_matching")
    await allow(admin, other.user_id, "location")
    messages = world.message(1, **PLACE), other.message(2, **PLACE)
    assert await record(system_pool, keys, *messages) == {"committed"}
    assert await places(admin) == [(None, None), (48.1, 11.5)]


@pytest.mark.req("ACC-13")
async def test_withdrawal_holds_for_the_next_tap_and_takes_away_the_places_of_all_before(
    admin: Any,
    system_pool: Pool,
    keys: RingKeys,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "PLACES_AT_ONCE", 1)
    await allow(admin, world.user_id, "location")
    await record(system_pool, keys, world.message(1, **PLACE), world.message(2, **PLACE))
    assert await places(admin) == [(48.1, 11.5)] * 2
    await withdraw(admin, world.user_id, "location")
    await record(system_pool, keys, world.message(3, **PLACE))
    assert await places(admin) == [(48.1, 11.5), (48.1, 11.5), (None, None)]
    event = await withdrawal(admin)
    await admin.execute(
        """UPDATE consents SET granted = true, granted_at = clock_timestamp(),
        withdrawn_at = NULL"""
    )
    await record(system_pool, keys, world.message(4, **PLACE))
    for _ in range(2):
        async with begin(system_pool, SYSTEM) as tx:
            await tasks.forget_places(tx, event)
    assert await places(admin) == [(None, None)] * 3 + [(48.1, 11.5)]


async def test_another_s_withdrawal_takes_nothing(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await allow(admin, world.user_id, "location")
    await record(system_pool, keys, world.message(1, **PLACE))
    await withdraw(admin, world.user_id, "location")
    event = msgspec.structs.replace(await withdrawal(admin), user_id=new_id())
    async with begin(system_pool, SYSTEM) as tx:
        await tasks.forget_places(tx, event)
    assert await places(admin) == [(48.1, 11.5)]


async def test_whoever_withdraws_waits_for_the_taps_that_are_being_recorded(
    admin: Any, system_pool: Pool, world: World, database: Database
) -> None:
    await allow(admin, world.user_id, "location")
    recording = await connect(database)
    try:
        transaction = recording.transaction()
        await transaction.start()
        held = "SELECT app.hold_consents(ARRAY[$1::uuid], 'location')"
        assert await recording.fetchval(held, world.user_id) == [world.user_id]
        waiting = asyncio.create_task(withdraw(admin, world.user_id, "location"))
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(10), system_pool.connection() as watch:
            while not await watch.fetchval(blocked):
                assert not waiting.done()
        await recording.execute(
            """INSERT INTO ring_taps (user_id, ring_id, kind, source, lat, lon)
            VALUES ($1, $2, 'button', 'ble', 1, 2)""",
            world.user_id,
            world.ring_id,
        )
        await transaction.commit()
        await waiting
        assert await recording.fetchval(held, world.user_id) == []
    finally:
        await recording.close()
    async with begin(system_pool, SYSTEM) as tx:
        await tasks.forget_places(tx, await withdrawal(admin))
    assert await places(admin) == [(None, None)]


async def test_only_the_hub_s_own_functions_hold_consents(database: Database) -> None:
    for url in (database.api_url, database.worker_url, database.system_url):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SELECT app.hold_consents('{}', 'location')")
        finally:
            await connection.close()
