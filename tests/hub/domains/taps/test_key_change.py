"""A ring's keys change with its claim: nothing is lost on the way, and nothing can be added."""

import secrets
from typing import Any
from uuid import UUID

import pytest

from core import edge
from core.crypto import FieldCipher, KeyRing
from core.db import Pool
from core.edge import TapEvent
from firmware_bridge import tap
from hub.domains.gateways.schemas import Message
from hub.domains.taps import service
from hub.domains.taps.mqtt import read_tap
from hub.domains.taps.service import RingKeys
from tests.fixtures.world import FIELD_KEYS, World

CIPHER = FieldCipher(KeyRing.parse(FIELD_KEYS))
OLD, NEW = b"old-key-16-bytes", b"new-key-16-bytes"


@pytest.fixture
def keys() -> RingKeys:
    return RingKeys(CIPHER, 3600.0)


def sealed(key: bytes, ring_id: UUID) -> bytes:
    return CIPHER.seal(key, column="rings.tap_key", row=ring_id.bytes)


@pytest.fixture
async def claimed(admin: Any, world: World) -> World:
    """Return a world whose ring was claimed after its tap 5 and has not changed its key yet."""
    await admin.execute(
        """UPDATE rings SET tap_key = $1, next_tap_key = $2, next_id_key = 'id',
          claimed_boot = 1, claimed_seq = 5, key_version = key_version + 1""",
        sealed(OLD, world.ring_id),
        sealed(NEW, world.ring_id),
    )
    return world


def signed(world: World, seq: int, key: bytes, *, boot: int = 1) -> Message:
    record = tap.TapRecord(kind="button", boot=boot, seq=seq, uptime_ms=seq)
    raw = tap.encode(record, ring_id=world.device_id, key=key)
    event = TapEvent(ring=world.device_id, boot=boot, seq=seq, raw=raw)
    topic = edge.tap_topic(world.gateway_id, world.device_id)
    return Message(topic=topic, payload=edge.encode(event), received_ms=world.now_ms)


async def record(pool: Pool, keys: RingKeys, *messages: Message) -> list[str]:
    arrivals = [arrival for message in messages if (arrival := read_tap(message)) is not None]
    return [item.verdict for item in await service.record(pool, keys, arrivals)]


@pytest.mark.req("RNG-05")
async def test_taps_from_before_the_claim_are_nobodys(
    admin: Any, system_pool: Pool, keys: RingKeys, claimed: World
) -> None:
    messages = [signed(claimed, seq, OLD) for seq in (4, 5, 6)]
    assert await record(system_pool, keys, *messages) == [
        "unknown_ring",
        "unknown_ring",
        "committed",
    ]
    assert [row["seq"] for row in await admin.fetch("SELECT seq FROM ring_taps")] == [6]


@pytest.mark.req("RNG-05")
async def test_the_old_key_counts_until_the_first_tap_under_the_new_one(
    admin: Any, system_pool: Pool, keys: RingKeys, claimed: World
) -> None:
    assert await record(system_pool, keys, signed(claimed, 6, OLD)) == ["committed"]
    assert await record(system_pool, keys, signed(claimed, 9, NEW)) == ["committed"]
    row = await admin.fetchrow("SELECT * FROM rings")
    assert (row["next_tap_key"], row["next_id_key"], row["id_key"]) == (None, None, b"id")
    assert (row["rotated_boot"], row["rotated_seq"]) == (1, 9)
    # Overtaken on its way, yet made before: it is not lost.
    assert await record(system_pool, keys, signed(claimed, 7, OLD)) == ["committed"]
    # Made later with a key that the ring has given up: somebody else has it.
    assert await record(system_pool, keys, signed(claimed, 10, OLD)) == ["bad_tag"]
    assert await record(system_pool, keys, signed(claimed, 1, OLD, boot=2)) == ["bad_tag"]
    # And one under the new key that was overtaken moves the bound.
    assert await record(system_pool, keys, signed(claimed, 8, NEW)) == ["committed"]
    assert await admin.fetchval("SELECT rotated_seq FROM rings") == 8
    assert await record(system_pool, keys, signed(claimed, 11, NEW)) == ["committed"]


async def test_old_and_new_in_one_batch_are_all_recorded(
    admin: Any, system_pool: Pool, keys: RingKeys, claimed: World
) -> None:
    messages = [signed(claimed, 8, NEW), signed(claimed, 6, OLD), signed(claimed, 7, NEW)]
    assert await record(system_pool, keys, *messages) == ["committed"] * 3
    assert await admin.fetchval("SELECT rotated_seq FROM rings") == 7
    assert await record(system_pool, keys, *messages) == ["committed"] * 3
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 3


@pytest.mark.req("RNG-05")
async def test_a_change_of_keys_counts_at_once_although_the_old_ones_are_cached(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    assert await record(system_pool, keys, world.message(1)) == ["committed"]
    await admin.execute(
        "UPDATE rings SET tap_key = $1, key_version = key_version + 1",
        sealed(NEW, world.ring_id),
    )
    # The cached key verifies it, but it is the ring's no more.
    assert await record(system_pool, keys, world.message(2)) == ["bad_tag"]
    assert await record(system_pool, keys, signed(world, 3, NEW)) == ["committed"]


async def test_a_new_version_of_the_same_keys_refuses_nothing(
    admin: Any, system_pool: Pool, keys: RingKeys, world: World
) -> None:
    assert await record(system_pool, keys, world.message(1)) == ["committed"]
    await admin.execute("UPDATE rings SET key_version = key_version + 1")
    assert await record(system_pool, keys, world.message(2)) == ["committed"]


async def test_a_ring_that_keeps_its_old_key_is_told_again_by_who_hears_it(
    admin: Any, system_pool: Pool, keys: RingKeys, claimed: World
) -> None:
    await admin.execute(
        """INSERT INTO ring_claims (user_id, ring_id, code_hash, label, status, nonce,
          hub_public_key, confirmation, expires_at)
        VALUES ($1, $2, '', 'ring', 'done', $3, $4, $5, now())""",
        claimed.user_id,
        claimed.ring_id,
        bytes(8),
        bytes(32),
        secrets.token_bytes(16),
    )
    for seq in (6, 7):  # once a minute, however much it taps
        assert await record(system_pool, keys, signed(claimed, seq, OLD)) == ["committed"]
    asked = await admin.fetch("SELECT payload FROM events WHERE type = 'ring.claim_asked'")
    assert len(asked) == 1
    assert str(claimed.gateway_id) in asked[0]["payload"]
    await record(system_pool, keys, signed(claimed, 8, NEW))
    await admin.execute("UPDATE ring_claims SET asked_at = now() - interval '2 minutes'")
    await record(system_pool, keys, signed(claimed, 9, NEW))
    assert await admin.fetchval("SELECT asked FROM ring_claims") == 1


async def test_a_ring_whose_next_key_cannot_be_opened_waits(
    admin: Any, system_pool: Pool, keys: RingKeys, claimed: World
) -> None:
    await admin.execute("UPDATE rings SET next_tap_key = '\\x00'")
    assert await record(system_pool, keys, signed(claimed, 6, NEW)) == ["deferred"]
