"""Reads at gateways' NFC readers: by the rules of `GET /t`, batch by batch, each with a verdict."""

import asyncio
import os
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin
from core.errors import DomainError
from firmware_bridge import sun
from hub.domains.gateways.schemas import Message
from hub.domains.reads import service
from hub.domains.reads.mqtt import read_read
from hub.domains.reads.service import TagKeys
from hub.domains.rings import service as rings
from hub.domains.taps import service as taps
from tests.fixtures.consents import allow
from tests.fixtures.tags import BASE, STATIC_UID, SUN_UID, give_tag, link, message
from tests.fixtures.world import INDEX_KEY, SUN_MASTER_KEY, World

CIPHER = FieldCipher(KeyRing({1: bytes(32)}))
KEYS = TagKeys(SUN_MASTER_KEY, INDEX_KEY, CIPHER)
ID = bytes(range(16))


async def record(pool: Pool, *messages: Message) -> list[str]:
    """Record messages; return the verdicts."""
    arrivals = [found for item in messages if (found := read_read(item)) is not None]
    return [item.verdict for item in await service.record(pool, KEYS, arrivals)]


async def open_in_browser(pool: Pool, url: str, session: str = "s" * 43) -> None:
    tap = rings.verify_sun(SUN_MASTER_KEY, url)
    async with begin(pool, SYSTEM) as tx:
        await rings.record_sun_tap(
            tx, tap, index_key=INDEX_KEY, cipher=CIPHER, session=session, query=url
        )


async def taps_of(admin: Any) -> list[tuple[Any, ...]]:
    rows = await admin.fetch("SELECT source, boot, seq, verified FROM ring_taps ORDER BY id")
    return [tuple(row) for row in rows]


@pytest.fixture
async def ring(admin: Any, world: World) -> UUID:
    return await give_tag(admin, world, SUN_UID, has_keys=True)


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("mode", ["aes", "lrp"])
async def test_a_genuine_link_is_a_verified_tap_with_the_gateways_time(
    mode: sun.SunMode, admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    happened_ms = world.now_ms - 3_600_000
    await allow(admin, world.user_id, "location")
    read = message(
        world, link(7, mode=mode), read_id=ID, t=happened_ms, tx_ms=world.now_ms, lat=48.1, lon=11.5
    )
    assert await record(system_pool, read) == ["committed"]
    row = await admin.fetchrow("SELECT * FROM ring_taps")
    assert (row["user_id"], row["ring_id"]) == (world.user_id, ring)
    assert (row["gateway_id"], row["source"], row["read_id"]) == (world.gateway_id, "reader", ID)
    assert (row["kind"], row["boot"], row["seq"]) == ("tap_to_phone", 0, 7)
    assert row["verified"] is True
    assert int(row["tapped_at"].timestamp() * 1000) == happened_ms
    assert (row["uncertainty_ms"], row["time_source"]) == (5, "gateway")
    assert (row["lat"], row["lon"]) == (48.1, 11.5)
    assert await admin.fetchval("SELECT type FROM events") == "ring.tapped"


@pytest.mark.req("ACC-13")
async def test_without_consent_the_place_of_a_read_is_not_kept(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    del ring
    read = message(world, link(7), read_id=ID, lat=48.1, lon=11.5)
    assert await record(system_pool, read) == ["committed"]
    row = await admin.fetchrow("SELECT lat, lon FROM ring_taps")
    assert tuple(row) == (None, None)


@pytest.mark.req("RNG-05")
async def test_a_read_that_comes_again_is_one_tap(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    read = message(world, link(7), read_id=ID)
    assert await record(system_pool, read, read) == ["committed", "committed"]
    assert await record(system_pool, read) == ["committed"]
    # Another gateway or another reader that saw the same link tells of the same tap.
    assert await record(system_pool, message(world, link(7))) == ["committed"]
    assert await taps_of(admin) == [("reader", 0, 7, True)]
    assert await admin.fetchval("SELECT count(*) FROM events") == 1


@pytest.mark.req("RNG-05")
async def test_a_readers_read_and_a_phones_opening_of_one_link_are_one_tap(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    await open_in_browser(system_pool, link(7))
    assert await record(system_pool, message(world, link(7))) == ["committed"]
    url = link(8)
    assert await record(system_pool, message(world, url)) == ["committed"]
    with pytest.raises(DomainError) as refused:
        await open_in_browser(system_pool, url)
    assert refused.value.code == "tap.already_used"
    assert await taps_of(admin) == [("sun", 0, 7, True), ("reader", 0, 8, True)]


@pytest.mark.req("RNG-05")
async def test_of_a_reader_and_phones_at_the_same_moment_exactly_one_makes_the_tap(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    url = link(9)
    await asyncio.gather(
        record(system_pool, message(world, url)),
        open_in_browser(system_pool, url, "a" * 43),
        record(system_pool, message(world, url)),
        open_in_browser(system_pool, url, "b" * 43),
        return_exceptions=True,
    )
    assert len(await taps_of(admin)) == 1


async def test_a_lower_count_that_was_never_recorded_is_stale(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    verdicts = await record(system_pool, *(message(world, link(n)) for n in (5, 7, 6, 8)))
    assert verdicts == ["committed", "committed", "counter_stale", "committed"]
    kept = await admin.fetchrow("SELECT * FROM rejected_taps")
    assert (kept["reason"], kept["gateway_id"]) == ("counter_stale", world.gateway_id)
    assert len(kept["read_id"]) == 16
    assert [row[2] for row in await taps_of(admin)] == [5, 7, 8]


async def test_unknown_forged_lost_and_unclaimed_have_their_reasons_and_use_up_nothing(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    lost, unclaimed = bytes.fromhex("04aaaaaaaaaaaa"), bytes.fromhex("04bbbbbbbbbbbb")
    await give_tag(admin, world, lost, has_keys=True, status="lost")
    await give_tag(admin, world, unclaimed, has_keys=True, status="unclaimed")
    forged = link(7)[:-1] + ("0" if link(7)[-1] != "0" else "1")
    urls = [link(7, bytes.fromhex("04cccccccccccc")), forged, link(7, lost), link(7, unclaimed)]
    verdicts = await record(system_pool, *(message(world, url) for url in urls))
    assert verdicts == ["unknown_ring", "bad_tag", "ring_revoked", "unknown_ring"]
    assert await admin.fetchval("SELECT count(*) FROM rejected_taps") == 4
    assert await admin.fetchval("SELECT max(sun_counter) FROM rings") == -1
    assert await taps_of(admin) == []


@pytest.mark.parametrize("mode", ["aes", "lrp"])
def test_no_flipped_bit_of_a_link_is_taken_for_genuine(mode: sun.SunMode) -> None:
    url = link(7, mode=mode)
    rings.verify_sun(SUN_MASTER_KEY, url)
    query = url.index("?")
    places = [m.start(1) + n for m in re.finditer(r"=([0-9A-F]+)", url) for n in range(len(m[1]))]
    assert len(places) == (48 if mode == "aes" else 64)
    for place in places:
        assert place > query
        for shift in range(4):
            flipped = f"{int(url[place], 16) ^ (1 << shift):X}"
            with pytest.raises(DomainError):
                rings.verify_sun(SUN_MASTER_KEY, url[:place] + flipped + url[place + 1 :])


@pytest.mark.parametrize("length", [31, 33, 0])
async def test_a_link_cut_by_a_wrong_offset_is_forged_not_static(
    length: int, admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    url = f"{BASE}?picc_data={'A' * length}&cmac=0011223344556677"
    assert await record(system_pool, message(world, url, uid=SUN_UID)) == ["bad_tag"]


async def test_a_static_tag_of_a_claimed_ring_is_recorded_as_unverified(
    admin: Any, system_pool: Pool, world: World
) -> None:
    ring = await give_tag(admin, world, STATIC_UID, has_keys=False)
    plain = message(world, "https://ping.example/r/1", uid=STATIC_UID, read_id=ID)
    mirrored = message(world, f"https://ping.example/r/1?m={STATIC_UID.hex().upper()}x00000A")
    assert await record(system_pool, plain, mirrored, plain) == ["committed"] * 3
    rows = await admin.fetch("SELECT * FROM ring_taps")
    assert {(row["ring_id"], row["verified"], row["source"]) for row in rows} == {
        (ring, False, "reader")
    }
    assert len(rows) == 2
    assert {row["state"] for row in rows} == {"half"}
    payloads = await admin.fetch("SELECT payload ->> 'verified' AS verified FROM events")
    assert [row["verified"] for row in payloads] == ["false", "false"]


async def test_a_static_tag_that_nobody_claimed_or_that_goes_by_two_names_is_unknown(
    admin: Any, system_pool: Pool, world: World
) -> None:
    await give_tag(admin, world, STATIC_UID, has_keys=False)
    other = bytes.fromhex("04998877665544")
    url = "https://ping.example/r/1"
    named = f"{url}?m={STATIC_UID.hex().upper()}x000001"
    reads = [message(world, url, uid=other), message(world, url), message(world, named, uid=other)]
    assert await record(system_pool, *reads) == ["unknown_ring"] * 3
    assert await taps_of(admin) == []


@pytest.mark.req("RNG-05")
async def test_strangers_gateways_cannot_fill_a_timeline_with_reads_of_a_static_tag(
    admin: Any, system_pool: Pool, world: World
) -> None:
    await give_tag(admin, world, STATIC_UID, has_keys=False)
    reads = [message(world, f"{BASE}?m={STATIC_UID.hex().upper()}x000001") for _ in range(20)]
    assert set(await record(system_pool, *reads)) == {"committed"}
    assert len(await taps_of(admin)) == 20  # through the owner's gateway each one counts
    await admin.execute("DELETE FROM ring_taps")
    stranger = await admin.fetchval("INSERT INTO users (full_name) VALUES ('Mallory') RETURNING id")
    await admin.execute("UPDATE gateways SET user_id = $1", stranger)
    assert set(await record(system_pool, *reads)) == {"committed"}
    assert set(await record(system_pool, *reads)) == {"committed"}
    assert len(await taps_of(admin)) == 1


async def test_a_ring_whose_tag_proves_its_taps_is_not_imitated_by_a_static_one(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    imitation = message(world, "https://ping.example/t", uid=SUN_UID)
    assert await record(system_pool, imitation) == ["bad_tag"]
    assert await taps_of(admin) == []


async def test_reads_of_a_revoked_gateway_are_not_answered(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    await admin.execute("UPDATE gateways SET revoked_at = now()")
    assert await record(system_pool, message(world, link(7))) == ["untrusted"]
    assert await taps_of(admin) == []


async def test_a_read_that_does_not_decode_is_refused_by_its_id(
    admin: Any, system_pool: Pool, world: World
) -> None:
    topic = message(world, link(1)).topic
    wrong = Message(topic, b"\xa2\x62id\x50" + ID + b"\x61v\x02", world.now_ms)
    assert await record(system_pool, wrong, wrong) == ["malformed", "malformed"]
    assert await record(system_pool, Message(topic, b"\xff", world.now_ms)) == []
    kept = await admin.fetch("SELECT read_id, reason FROM rejected_taps ORDER BY read_id")
    assert [tuple(row) for row in kept] == [(ID, "malformed"), (None, "malformed")]


async def test_a_read_that_an_impossible_clock_dates_is_recorded_at_its_arrival(
    admin: Any, system_pool: Pool, world: World, ring: UUID
) -> None:
    wild = message(world, link(7), t=1 << 62, unc_ms=1 << 62, rx_ms=-(1 << 62))
    assert await record(system_pool, wild) == ["committed"]
    row = await admin.fetchrow("SELECT tapped_at, uncertainty_ms FROM ring_taps")
    assert int(row["tapped_at"].timestamp() * 1000) == world.now_ms
    assert row["uncertainty_ms"] == (1 << 31) - 1


async def test_a_gateway_that_is_deleted_meanwhile_keeps_nobody_waiting(
    admin: Any, system_pool: Pool, world: World, ring: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def everybody(_tx: Any, gateway_ids: set[UUID]) -> set[UUID]:
        return gateway_ids

    monkeypatch.setattr(service.gateways, "trusted", everybody)
    gone = replace(world, gateway_id=UUID(int=1))
    reads = [message(world, link(7)), message(gone, f"{BASE}?cmac=00"), message(world, link(8))]
    verdicts = await record(system_pool, *reads)
    assert (verdicts[0], verdicts[2]) == ("committed", "committed")


async def test_a_flood_of_forged_reads_is_answered_but_kept_only_to_its_bound(
    admin: Any, system_pool: Pool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps, "REFUSED_KEPT_MAX", 5)
    forged = [message(world, f"{BASE}?cmac={os.urandom(8).hex()}") for _ in range(20)]
    assert await record(system_pool, *forged) == ["bad_tag"] * 20
    assert await admin.fetchval("SELECT count(*) FROM rejected_taps") == 5
