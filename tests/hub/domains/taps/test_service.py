"""Taps are verified one by one and recorded batch by batch; each gets its verdict."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from core import clock, edge, ids
from core.crypto import FieldCipher, KeyRing
from core.db import Pool
from core.errors import DomainError
from firmware_bridge import tap
from hub.domains.gateways.schemas import Message
from hub.domains.taps import service
from hub.domains.taps.mqtt import read_tap
from hub.domains.taps.service import RingKeys
from tests.fixtures.consents import allow
from tests.fixtures.postgres import Database
from tests.fixtures.world import FIELD_KEYS, World

CIPHER = FieldCipher(KeyRing.parse(FIELD_KEYS))


@pytest.fixture
def keys() -> RingKeys:
    return RingKeys(CIPHER, 30.0)


async def record(pool: Pool, keys: RingKeys, *messages: Message) -> list[str]:
    """Record messages; return the verdicts."""
    arrivals = [arrival for message in messages if (arrival := read_tap(message)) is not None]
    return [item.verdict for item in await service.record(pool, keys, arrivals)]


async def count(admin: Any, table: str) -> int:
    return await admin.fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.req("RNG-01", "RNG-05")
async def test_a_signed_tap_is_recorded_for_the_owner_of_its_ring(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await allow(admin, world.user_id, "location")
    assert await record(system_pool, keys, world.message(1, lat=48.1, lon=11.5, rssi=-40)) == [
        "committed"
    ]
    row = await admin.fetchrow("SELECT * FROM ring_taps")
    assert row["user_id"] == world.user_id
    assert (row["ring_id"], row["gateway_id"]) == (world.ring_id, world.gateway_id)
    assert (row["kind"], row["source"], row["boot"], row["seq"]) == ("tap_to_phone", "ble", 1, 1)
    assert (row["lat"], row["lon"], row["rssi"]) == (48.1, 11.5, -40)
    assert row["raw"] == world.record(1)
    assert row["verified"] is True
    assert int(row["tapped_at"].timestamp() * 1000) == world.now_ms
    assert (row["uncertainty_ms"], row["time_source"]) == (20, "synced")
    assert await admin.fetchval("SELECT type FROM events") == "ring.tapped"


async def test_a_repeated_tap_is_committed_again_and_changes_nothing(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    first, again = world.message(1), world.message(1)
    assert await record(system_pool, keys, first, again) == ["committed", "committed"]
    assert await record(system_pool, keys, first) == ["committed"]
    assert await count(admin, "ring_taps") == 1
    assert await count(admin, "events") == 1


async def test_taps_of_a_batch_become_events_in_the_order_of_their_arrival(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await record(system_pool, keys, *(world.message(seq) for seq in (5, 1, 2, 9, 3, 4)))
    events = await admin.fetch(
        """
        SELECT e.payload ->> 'seq' AS seq
        FROM outbox AS o
        JOIN events AS e ON e.id = o.event_id
        ORDER BY o.seq
        """
    )
    assert [row["seq"] for row in events] == ["5", "1", "2", "9", "3", "4"]


@pytest.mark.req("RNG-05")
async def test_a_forged_tap_is_refused_with_its_reason_and_kept(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    forged = world.record(2, key=b"another key here")
    messages = (world.message(1), world.message(2, raw=forged), world.message(3))
    assert await record(system_pool, keys, *messages) == ["committed", "bad_tag", "committed"]
    kept = await admin.fetchrow("SELECT * FROM rejected_taps")
    assert (kept["gateway_id"], kept["device_id"]) == (world.gateway_id, world.device_id)
    assert (kept["boot"], kept["seq"], kept["reason"]) == (1, 2, "bad_tag")
    assert kept["raw"] == forged
    assert await count(admin, "ring_taps") == 2


async def test_a_refused_tap_that_comes_again_is_kept_once(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    forged = world.message(2, raw=world.record(2, key=b"another key here"))
    for _ in range(3):
        assert await record(system_pool, keys, forged) == ["bad_tag"]
    assert await count(admin, "rejected_taps") == 1


async def test_a_flood_of_forged_taps_is_answered_but_kept_only_to_its_bound(
    admin: Any,
    system_pool: Pool,
    keys: RingKeys,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "REFUSED_KEPT_MAX", 5)
    forged = [world.message(n, raw=world.record(n, key=b"another key here")) for n in range(1, 21)]
    assert await record(system_pool, keys, *forged) == ["bad_tag"] * 20
    assert await count(admin, "rejected_taps") == 5


async def test_other_bytes_under_the_same_counters_are_stale(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await record(system_pool, keys, world.message(1))
    another = tap.TapRecord(kind="button", boot=1, seq=1, uptime_ms=9)
    raw = tap.encode(another, ring_id=world.device_id, key=world.tap_key)
    assert await record(system_pool, keys, world.message(1, raw=raw)) == ["counter_stale"]
    assert await count(admin, "ring_taps") == 1


async def test_a_ring_nobody_knows_is_refused(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    world.device_id = b"\0" * 8
    assert await record(system_pool, keys, world.message(1)) == ["unknown_ring"]
    assert await admin.fetchval("SELECT reason FROM rejected_taps") == "unknown_ring"


async def test_an_unclaimed_ring_is_refused(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await admin.execute("UPDATE rings SET status = 'unclaimed', user_id = NULL")
    assert await record(system_pool, keys, world.message(1)) == ["unknown_ring"]


@pytest.mark.req("RNG-05")
async def test_a_lost_ring_is_refused_at_once_although_its_key_is_cached(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    assert await record(system_pool, keys, world.message(1)) == ["committed"]
    await admin.execute("UPDATE rings SET status = 'lost'")
    assert await record(system_pool, keys, world.message(2)) == ["ring_revoked"]
    assert await count(admin, "ring_taps") == 1


async def test_a_changed_key_is_read_again_when_a_tag_does_not_verify(
    admin: Any,
    system_pool: Pool,
    keys: RingKeys,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = clock.monotonic_seconds()
    await record(system_pool, keys, world.message(1))
    world.tap_key = b"the new key 16 b"
    sealed = CIPHER.seal(world.tap_key, column="rings.tap_key", row=world.ring_id.bytes)
    await admin.execute("UPDATE rings SET tap_key = $1", sealed)
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: now + 2)
    assert await record(system_pool, keys, world.message(2)) == ["committed"]


async def test_a_key_that_cannot_be_opened_defers_the_tap(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await admin.execute("UPDATE rings SET tap_key = $1", b"\x01\x09" + bytes(40))
    assert await record(system_pool, keys, world.message(1)) == ["deferred"]
    assert await count(admin, "rejected_taps") == 0


@pytest.mark.parametrize("change", ["deleted", "revoked"])
async def test_taps_of_a_gateway_without_standing_are_deferred(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World, change: str
) -> None:
    if change == "deleted":
        await admin.execute("DELETE FROM gateways")
    else:
        await admin.execute("UPDATE gateways SET revoked_at = now()")
    assert await record(system_pool, keys, world.message(1)) == ["untrusted"]
    assert await count(admin, "ring_taps") == 0


async def test_a_tap_the_database_cannot_take_is_refused_alone(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await admin.execute("ALTER TABLE ring_taps ADD CONSTRAINT poison CHECK (seq <> 3)")
    messages = [world.message(seq) for seq in range(1, 6)]
    assert await record(system_pool, keys, *messages) == [
        "committed",
        "committed",
        "malformed",
        "committed",
        "committed",
    ]
    assert await admin.fetchval("SELECT seq FROM rejected_taps") == 3


async def test_a_fault_of_ours_defers_the_tap_and_refuses_nothing(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await admin.execute("ALTER FUNCTION app.record_taps RENAME TO record_taps_renamed")
    assert await record(system_pool, keys, world.message(1)) == ["deferred"]
    assert await count(admin, "rejected_taps") == 0


async def test_a_database_that_is_away_decides_nothing(keys: RingKeys, world: World) -> None:
    pool = await Pool.open("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_seconds=1)
    with pytest.raises(DomainError) as caught:
        await record(pool, keys, world.message(1))
    assert caught.value.code == "service.unavailable"
    await pool.close()


async def test_two_gateways_that_hear_one_tap_make_one_row_and_both_are_acknowledged(
    admin: Any, database: Database, keys: RingKeys, world: World
) -> None:
    other_gateway = ids.new_id()
    await admin.execute(
        "INSERT INTO gateways (id, user_id, name) VALUES ($1, $2, 'hall')",
        other_gateway,
        world.user_id,
    )
    pools = [await Pool.open(database.system_url) for _ in range(2)]
    here = [world.message(seq) for seq in range(1, 30)]
    there = [at_gateway(message, other_gateway) for message in reversed(here)]
    verdicts = await asyncio.gather(
        record(pools[0], keys, *here), record(pools[1], RingKeys(CIPHER, 30.0), *there)
    )
    assert verdicts == [["committed"] * 29, ["committed"] * 29]
    assert await count(admin, "ring_taps") == 29
    for pool in pools:
        await pool.close()


def at_gateway(message: Message, gateway: UUID) -> Message:
    """Return the same tap as another gateway sends it."""
    device_id = bytes.fromhex(message.topic.split("/")[5])
    return Message(edge.tap_topic(gateway, device_id), message.payload, message.received_ms)


async def test_missing_rights_are_a_fault_of_ours_and_refuse_nothing(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    await admin.execute("REVOKE EXECUTE ON FUNCTION app.record_taps FROM ping_system")
    assert await record(system_pool, keys, world.message(1)) == ["deferred"]
    assert await count(admin, "rejected_taps") == 0
