"""How soon two phones are told of a touch, and how many halves are paired with 10,000 rings."""

import asyncio
import os
import random
import time
from typing import Any

import asyncpg
import pytest

from core import clock, ids
from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import Pool, begin
from core.db.bootstrap import at_database
from firmware_bridge import eid
from hub.domains.touches import service
from hub.embedded.generated import DATABASE_NAME
from hub.providers.keys import read_field_keys
from tests.bench.figures import percentile, show
from tests.e2e.test_touches import NAMES, Watch, share, touch, until
from tests.fixtures.stack import Stack

TOUCHES = 60
PHONES_TARGET_SECONDS = 1.0
RINGS = 10_000
WORKERS = 4


@pytest.mark.bench
async def test_both_phones_are_told_within_a_second_of_the_second_half(measured: Stack) -> None:
    await share(measured, "always")
    phones = [Watch(measured.url, name) for name in NAMES]
    for phone in phones:
        await phone.open()
    try:
        for number in range(TOUCHES):
            await touch(measured)
            expected = number + 1
            await until(
                lambda wanted=expected: all(len(phone.at) == wanted for phone in phones), "phones"
            )
    finally:
        for phone in phones:
            await phone.close()
    connection = await asyncpg.connect(
        at_database(measured.settings.database.superuser_url, DATABASE_NAME)
    )
    rows = await connection.fetch(
        """SELECT array_agg(t.id::text) AS ids, extract(epoch FROM max(p.received_at))::float8 AS at
        FROM touches AS t JOIN ring_taps AS p ON p.id = t.tap_id
        GROUP BY t.meeting_id HAVING count(*) = 2"""
    )
    await connection.close()
    told = {name: at for phone in phones for name, at in phone.at.items()}
    waited = [max(told[name] for name in row["ids"]) - row["at"] for row in rows]
    print(f"\n{TOUCHES} touches over the air, one after the other, with fsync")
    show("second half's row -> both phones", waited)
    assert len(waited) == TOUCHES
    assert percentile(waited, 0.95) <= PHONES_TARGET_SECONDS


@pytest.mark.bench
@pytest.mark.parametrize("seqs", [5000, 20])
async def test_halves_of_ten_thousand_rings_are_paired(measured: Stack, seqs: int) -> None:
    settings = measured.settings
    cipher = FieldCipher(read_field_keys(settings))
    connection = await asyncpg.connect(at_database(settings.database.superuser_url, DATABASE_NAME))
    halves = await _add_halves(connection, cipher, seqs)
    pool = await Pool.open(settings.database.system_url, max_size=WORKERS)
    waiting = iter(halves)
    durations: list[float] = []

    async def work() -> None:
        for tap_id in waiting:
            begun = time.perf_counter()
            async with begin(pool, SYSTEM) as tx:
                await service.pair(tx, tap_id, cipher)
            durations.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    seconds = time.perf_counter() - begun
    await pool.close()
    mutual = await connection.fetchval(
        "SELECT count(*) FROM ring_taps WHERE id = ANY ($1::uuid[]) AND state <> 'half'", halves
    )
    await connection.close()
    print(f"\n{RINGS} rings, {RINGS} halves, seq up to {seqs}, {WORKERS} at once, with fsync")
    show("pairing one half", durations)
    print(f"{'halves per second':36} {len(halves) / seconds:7.0f}")
    assert mutual == RINGS


async def _add_halves(connection: Any, cipher: FieldCipher, seqs: int) -> list[Any]:
    """Add rings of as many owners, each with the half of one touch; return the halves, mixed."""
    now_ms = clock.unix_ms()
    window = eid.window_of(now_ms)
    choose = random.Random(1)
    rings: list[tuple[Any, ...]] = []
    taps: list[tuple[Any, ...]] = []
    for _ in range(RINGS // 2):
        pair = [(ids.new_id(), ids.new_id(), os.urandom(16), choose.randint(1, seqs)) for _ in "ab"]
        for (user, ring, key, seq), (_, _, peer_key, peer_seq) in (pair, pair[::-1]):
            sealed = cipher.seal(key, column=service.ID_KEY_COLUMN, row=ring.bytes)
            rings.append((ring, user, os.urandom(8), sealed))
            shown = eid.eid(eid.derive(peer_key), window)
            taps.append((ids.new_id(), user, ring, seq, shown, peer_seq))
    await connection.execute("SET session_replication_role = replica")  # no events of these
    await connection.executemany(
        "INSERT INTO users (id, full_name) VALUES ($1, 'x')", [(row[1],) for row in rings]
    )
    await connection.executemany(
        "INSERT INTO profiles (user_id, display_name) VALUES ($1, 'x')",
        [(row[1],) for row in rings],
    )
    await connection.executemany(
        """INSERT INTO rings (id, user_id, kind, status, device_id, id_key)
        VALUES ($1, $2, 'ble', 'active', $3, $4)""",
        rings,
    )
    await connection.executemany(
        """INSERT INTO ring_taps
        (id, user_id, ring_id, kind, source, boot, seq, peer_eid, peer_ctr, tapped_at,
         uncertainty_ms)
        VALUES ($1, $2, $3, 'ring_to_ring', 'ble', 1, $4, $5, $6, now(), 20)""",
        taps,
    )
    await connection.execute("SET session_replication_role = origin")
    await connection.execute("ANALYZE ring_taps, rings")
    halves = [row[0] for row in taps]
    choose.shuffle(halves)
    return halves
