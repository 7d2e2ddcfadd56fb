"""Reads of tags in the spool: like taps in everything, in a line of their own."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from core.errors import ConfigError
from gateway import spool_file
from gateway.spool import Entry, Spool

ONE, TWO = b"1" * 16, b"2" * 16


def read(read_id: bytes, url: bytes = b"https://ping.example/t") -> Entry:
    return Entry(read_id, 0, 0, url, b"payload " + url, received_ms=1_000, reader="pcsc")


def tap(seq: int) -> Entry:
    return Entry(b"ring-001", 1, seq, b"raw", b"payload", received_ms=1_000)


@pytest.fixture
async def open_spool(tmp_path: Path) -> AsyncIterator[Callable[..., Spool]]:
    opened: list[Spool] = []

    def open_it(**options: int) -> Spool:
        for spool in opened:
            spool.close()
        opened[:] = [Spool(tmp_path / "spool.db", **options)]
        return opened[0]

    yield open_it
    for spool in opened:
        spool.close()


async def waiting(spool: Spool) -> list[bytes]:
    return [row.ring for row in await spool.after(0, 100, reads=True)]


async def test_reads_and_taps_come_out_apart_each_in_the_order_of_arrival(open_spool):
    spool = open_spool()
    for entry in (tap(1), read(TWO), tap(2), read(ONE)):
        assert await spool.put(entry) == "stored"
    assert [row.seq for row in await spool.after(0, 100)] == [1, 2]
    rows = await spool.after(0, 100, reads=True)
    assert [(row.ring, row.reader) for row in rows] == [(TWO, "pcsc"), (ONE, "pcsc")]
    assert (await spool.stats()).reads == 2


async def test_a_read_is_kept_over_restarts_until_the_hub_has_spoken(open_spool):
    spool = open_spool()
    await spool.put(read(ONE))
    await spool.put(read(TWO))
    assert await spool.put(read(ONE)) == "duplicate"
    spool = open_spool()
    spool.mark_sent([row.id for row in await spool.after(0, 100, reads=True)])
    assert await spool.acknowledge(ONE, 0, [(0, 0)]) == 1
    assert await spool.quarantine(TWO, 0, [(0, "bad_tag")]) == 1
    spool = open_spool()
    assert await waiting(spool) == []
    stats = await spool.stats()
    assert (stats.refused, stats.reads) == ({"bad_tag": 1}, 0)


async def test_reads_have_the_bounds_of_taps(open_spool):
    spool = open_spool(max_rows=2)
    assert await spool.put(read(ONE)) == "stored"
    assert await spool.put(tap(1)) == "stored"
    assert await spool.put(read(TWO)) == "full"
    spool.mark_sent([row.id for row in await spool.after(0, 100, reads=True)])
    await spool.quarantine(ONE, 0, [(0, "unknown_ring")])
    assert await spool.put(read(TWO)) == "stored"
    assert (await spool.stats()).dropped == 1


async def test_reads_are_saved_out_of_a_damaged_file(open_spool, tmp_path):
    spool = open_spool()
    await spool.put(read(ONE))
    for number in range(200):
        await spool.put(tap(number + 1))
    spool.close()
    path = tmp_path / "spool.db"
    with path.open("r+b") as file:
        file.seek(-4096, 2)
        file.write(b"\xa5" * 4096)
    spool = Spool(path)
    try:
        rows = await spool.after(0, 100, reads=True)
        assert [(row.ring, row.reader) for row in rows] == [(ONE, "pcsc")]
    finally:
        spool.close()


async def test_a_file_says_its_version_and_one_of_a_newer_gateway_is_left_alone(
    open_spool, tmp_path
):
    open_spool().close()
    path = tmp_path / "spool.db"
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (spool_file.VERSION,)
    db.execute(f"PRAGMA user_version = {spool_file.VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="newer gateway"):
        Spool(path)
    assert path.read_bytes() == before
