"""The spool: what it promises while everything works, and what it says when the disk does not."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import ConfigError
from gateway import spool_notes
from gateway.machine_clock import Anchor
from gateway.spool import Entry, Spool, SpoolUnavailableError

RING = b"ring-001"


def entry(seq: int, *, raw: bytes = b"raw", boot: int = 1, ring: bytes = RING) -> Entry:
    return Entry(ring, boot, seq, raw, b"payload-%d" % seq, received_ms=1_000 + seq)


@pytest.fixture
async def open_spool(tmp_path: Path) -> AsyncIterator[Callable[..., Spool]]:
    opened: list[Spool] = []

    def open_it(**options: int) -> Spool:
        opened.append(Spool(tmp_path / "spool.db", **options))
        return opened[-1]

    yield open_it
    for spool in opened:
        spool.close()


async def seqs(spool: Spool) -> list[int]:
    return [row.seq for row in await spool.after(0, 1_000_000)]


async def send_all(spool: Spool) -> None:
    spool.mark_sent([row.id for row in await spool.after(0, 1_000_000)])


async def test_rows_come_out_in_the_order_of_their_arrival(open_spool):
    spool = open_spool()
    for seq in (3, 1, 2):
        assert await spool.put(entry(seq)) == "stored"
    rows = await spool.after(0, 2)
    assert [row.seq for row in rows] == [3, 1]
    assert [row.seq for row in await spool.after(rows[-1].id, 2)] == [2]
    assert rows[0].payload == b"payload-3"


async def test_a_tap_whose_sending_the_disk_did_not_note_is_still_forgotten_when_acknowledged(
    open_spool, monkeypatch
):
    spool = open_spool()
    await spool.put(entry(1))
    with monkeypatch.context() as failing:
        failing.setattr(spool, "_mark_sent", refuse)
        await send_all(spool)
        with suppress(SpoolUnavailableError):
            await spool.stats()
    assert await spool.acknowledge(RING, 1, [(1, 1)]) == 1
    assert await seqs(spool) == []


def refuse(*_args: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


async def test_one_tap_is_stored_once(open_spool):
    spool = open_spool()
    assert await spool.put(entry(1)) == "stored"
    assert await spool.put(entry(1)) == "duplicate"
    assert await spool.put(entry(1, boot=2)) == "stored"
    assert await spool.put(entry(1, ring=b"ring-002")) == "stored"


async def test_many_taps_share_a_commit_and_each_has_its_answer(open_spool):
    spool = open_spool()
    outcomes = await asyncio.gather(*(spool.put(entry(n // 2)) for n in range(400)))
    assert outcomes.count("stored") == 200
    assert outcomes.count("duplicate") == 200
    assert await seqs(spool) == list(range(200))


@pytest.mark.req("RNG-05")
async def test_only_taps_that_were_sent_can_be_acknowledged(open_spool):
    spool = open_spool()
    for seq in range(1, 6):
        await spool.put(entry(seq))
    first, second, *_ = await spool.after(0, 5)
    spool.mark_sent([first.id, second.id])
    assert await spool.acknowledge(RING, 1, [(0, 2**32 - 1)]) == 2
    assert await seqs(spool) == [3, 4, 5]


async def test_an_acknowledgement_concerns_one_ring_and_one_boot(open_spool):
    spool = open_spool()
    for boot, ring in ((1, RING), (2, RING), (1, b"ring-002")):
        await spool.put(entry(1, boot=boot, ring=ring))
    await send_all(spool)
    assert await spool.acknowledge(RING, 1, [(1, 1)]) == 1
    left = {(row.ring, row.boot) for row in await spool.after(0, 10)}
    assert left == {(RING, 2), (b"ring-002", 1)}


async def test_a_refused_tap_is_kept_aside_with_its_reason_and_not_sent_again(open_spool):
    spool = open_spool()
    await spool.put(entry(1))
    await spool.put(entry(2))
    await send_all(spool)
    assert await spool.quarantine(RING, 1, [(1, "bad_tag")]) == 1
    assert await seqs(spool) == [2]
    assert await spool.quarantined() == [(RING, 1, 1, "bad_tag")]
    assert (await spool.stats()).refused == {"bad_tag": 1}
    assert await spool.put(entry(1)) == "duplicate"


async def test_a_forged_record_does_not_hide_the_genuine_one(open_spool):
    spool = open_spool()
    await spool.put(entry(1, raw=b"forged"))
    assert await spool.put(entry(1, raw=b"genuine")) == "conflict"
    await send_all(spool)
    await spool.quarantine(RING, 1, [(1, "bad_tag")])
    assert await spool.put(entry(1, raw=b"genuine")) == "stored"
    assert await seqs(spool) == [1]


async def test_row_ids_are_never_used_twice(open_spool):
    spool = open_spool()
    await spool.put(entry(1))
    (row,) = await spool.after(0, 1)
    await send_all(spool)
    await spool.acknowledge(RING, 1, [(1, 1)])
    await spool.put(entry(2))
    assert [later.seq for later in await spool.after(row.id, 1)] == [2]


async def test_everything_is_there_after_closing_and_opening(open_spool, tmp_path):
    spool = open_spool()
    await spool.put(entry(1))
    await spool.remember(RING, b"clock")
    spool.close()
    spool = open_spool()
    assert await seqs(spool) == [1]
    assert await spool.remembered() == {RING: b"clock"}
    assert (tmp_path / "spool.db").stat().st_mode & 0o777 == 0o600


async def test_a_full_spool_refuses_new_taps_and_keeps_the_old(open_spool):
    spool = open_spool(max_rows=3)
    outcomes = [await spool.put(entry(seq)) for seq in range(5)]
    assert outcomes == ["stored"] * 3 + ["full"] * 2
    await send_all(spool)
    await spool.acknowledge(RING, 1, [(0, 0)])
    assert await spool.put(entry(4)) == "stored"
    assert await seqs(spool) == [1, 2, 4]


async def test_refused_taps_make_room_for_new_ones_and_the_loss_is_counted(open_spool):
    spool = open_spool(max_rows=2)
    await spool.put(entry(1))
    await spool.put(entry(2))
    await send_all(spool)
    await spool.quarantine(RING, 1, [(1, "unknown_ring")])
    assert await spool.put(entry(3)) == "stored"
    assert await seqs(spool) == [2, 3]
    assert (await spool.stats()).dropped == 1


async def test_a_full_disk_is_reported_and_nothing_is_half_stored(open_spool):
    spool = open_spool(max_bytes=256 * 1024)
    stored = 0
    with suppress(SpoolUnavailableError):
        while stored < 1000:
            await spool.put(entry(stored, raw=bytes(2000)))
            stored += 1
    assert 21 < stored < 1000
    assert "full" in (await _failing(spool))
    await send_all(spool)
    await spool.acknowledge(RING, 1, [(0, 20)])
    assert await spool.put(entry(2000)) == "stored"
    assert await seqs(spool) == [*range(21, stored), 2000]
    assert await _failing(spool) == ""


async def _failing(spool: Spool) -> str:
    return (await spool.stats()).failing


async def test_a_second_gateway_on_the_same_spool_is_refused(open_spool):
    open_spool()
    with pytest.raises(ConfigError, match="in use by another gateway"):
        open_spool()


def test_an_unusable_place_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"gateway\.spool_path"):
        Spool(tmp_path / "file" / "spool.db")


async def test_a_file_that_is_no_database_is_set_aside(open_spool, tmp_path):
    (tmp_path / "spool.db").write_bytes(b"not a database" * 1000)
    spool = open_spool()
    assert await spool.put(entry(1)) == "stored"
    assert (await spool.stats()).corruptions == 1
    aside = [path for path in tmp_path.iterdir() if ".corrupt-" in path.name]
    assert aside[0].read_bytes().startswith(b"not a database")


async def test_a_damaged_spool_gives_up_what_can_still_be_read(open_spool, tmp_path):
    path = tmp_path / "spool.db"
    spool = open_spool()
    for seq in range(300):
        await spool.put(entry(seq, raw=bytes(400)))
    spool.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 4096 // 2 * 4096
    data[middle : middle + 3 * 4096] = os.urandom(3 * 4096)
    path.write_bytes(data)
    spool = open_spool()
    salvaged = await seqs(spool)
    assert 150 < len(salvaged) <= 300
    assert salvaged == sorted(salvaged)
    assert salvaged[0] == 0
    assert salvaged[-1] == 299
    assert (await spool.stats()).corruptions == 1
    assert await spool.put(entry(1000)) == "stored"


OLD_SCHEMA = """
CREATE TABLE taps (
  id INTEGER PRIMARY KEY AUTOINCREMENT, ring BLOB NOT NULL, boot INTEGER NOT NULL,
  seq INTEGER NOT NULL, raw BLOB NOT NULL, payload BLOB NOT NULL, received_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'quarantined')), reason TEXT,
  UNIQUE (ring, boot, seq)
) STRICT
"""


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_file_of_an_earlier_version_is_taken_over(open_spool, tmp_path, damaged):
    path = tmp_path / "spool.db"
    old = sqlite3.connect(path)
    old.execute(OLD_SCHEMA)
    values = (RING, b"raw", b"payload")
    old.execute("INSERT INTO taps VALUES (7, ?, 1, 1, ?, ?, 1001, 'sent', NULL)", values)
    old.commit()
    (index_page,) = old.execute("SELECT rootpage FROM sqlite_master WHERE type='index'").fetchone()
    old.close()
    if damaged:
        with path.open("r+b") as file:
            file.seek((index_page - 1) * 4096)
            file.write(os.urandom(4096))
    spool = open_spool()
    (row,) = await spool.after(0, 10)
    assert (row.seq, row.received_ms, row.clock) == (1, 1001, Anchor())
    assert await spool.acknowledge(RING, 1, [(1, 1)]) == 1


async def test_damage_while_running_is_survived_and_told_by_the_generation(open_spool, tmp_path):
    spool = open_spool()
    # More than SQLite caches, so that the damage is met.
    await asyncio.gather(*(spool.put(entry(seq, raw=bytes(4000))) for seq in range(1000)))
    spool.close()
    spool = open_spool()
    before = spool.generation
    path = tmp_path / "spool.db"
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    with pytest.raises(SpoolUnavailableError):
        await spool.after(0, 1000)
    assert await spool.put(entry(1000)) == "stored"
    assert spool.generation != before


CRASHING_WRITER = """
import asyncio, sys
from pathlib import Path
from gateway import spool_notes
from gateway.spool import Entry, Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    async def put(seq):
        if await spool.put(Entry(b"ring-001", 1, seq, b"raw", b"payload", 0)) == "stored":
            print(seq, flush=True)
    seq = int(sys.argv[2])
    while True:
        await asyncio.gather(*(put(seq + n) for n in range(7)))
        seq += 7

asyncio.run(main())
"""


@pytest.mark.req("RNG-05")
def test_every_tap_reported_stored_survives_sigkill_at_any_write(tmp_path):
    path = tmp_path / "spool.db"
    reported: set[int] = set()
    for round_number in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", CRASHING_WRITER, str(path), str(round_number * 1_000_000)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        # How far it comes differs from round to round: the kill lands anywhere in a commit.
        for _ in range(13 + 31 * round_number):
            reported.add(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        reported.update(int(line) for line in writer.stdout.read().split("\n")[:-1])
        writer.wait()
    spool = Spool(path)
    rows = asyncio.run(seqs(spool))
    stats = asyncio.run(spool.stats())
    spool.close()
    assert len(reported) > 500
    assert reported <= set(rows)
    assert stats.corruptions == 0


NO_SPACE_WRITER = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway import spool_notes
from gateway.spool import Entry, Spool, SpoolUnavailableError

async def main():
    spool = Spool(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    seq = 0
    try:
        while True:
            seq += 1
            await spool.put(Entry(b"ring-001", 1, seq, bytes(1000), b"payload", 0))
    except SpoolUnavailableError:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("RESULT", await spool.put(Entry(b"ring-001", 1, seq, b"raw", b"payload", 0)))
    rows = await spool.after(0, 100_000)
    print("RESULT", [row.seq for row in rows] == list(range(1, seq + 1)))
    spool.close()

asyncio.run(main())
"""


def test_a_disk_that_takes_no_more_bytes_is_survived(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", NO_SPACE_WRITER, str(tmp_path / "spool.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert results == ["RESULT stored", "RESULT True"]


async def test_notes_are_kept_in_order_bounded_and_forgotten_when_sent(open_spool, monkeypatch):
    monkeypatch.setattr(spool_notes, "NOTES_MAX", 3)
    spool = open_spool()
    for number in range(5):
        await spool.note("health", b"%d" % number)
    notes = await spool.notes(10)
    assert [note.payload for note in notes] == [b"2", b"3", b"4"]
    await spool.forget_notes([notes[0].id])
    assert [note.payload for note in await spool.notes(1)] == [b"3"]
    assert (await spool.stats()).notes == 2
    assert await seqs(spool) == []


@pytest.mark.req("RNG-05")
async def test_a_full_file_gives_up_notes_then_refused_taps_and_never_a_waiting_tap(open_spool):
    spool = open_spool(max_bytes=256 * 1024)
    await spool.put(entry(1, raw=bytes(20_000)))
    await send_all(spool)
    await spool.quarantine(RING, 1, [(1, "bad_tag")])
    for _ in range(20):
        await spool.note("health", bytes(3_000))
    lost: list[str] = []
    seq = 1
    with suppress(SpoolUnavailableError):
        while seq < 1000:
            seq += 1
            await spool.put(entry(seq, raw=bytes(2000)))
            stats = await spool.stats()
            if stats.notes == 0 and "notes" not in lost:
                assert stats.quarantined == 1
                lost.append("notes")
            if stats.quarantined == 0 and "refused" not in lost:
                lost.append("refused")
    assert lost == ["notes", "refused"]
    assert await seqs(spool) == list(range(2, seq))
    assert (await spool.stats()).dropped == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.req("RNG-05")
async def test_a_full_disk_loses_nothing_and_is_used_again_when_there_is_room(small_disk):
    (small_disk / "other").write_bytes(bytes(500_000))
    spool = Spool(small_disk / "spool.db")
    stored = 0
    with suppress(SpoolUnavailableError):
        while stored < 1000:
            await spool.put(entry(stored, raw=bytes(2000)))
            stored += 1
    assert 10 < stored < 1000
    assert await seqs(spool) == list(range(stored))
    (small_disk / "other").unlink()
    assert await spool.put(entry(stored)) == "stored"
    await send_all(spool)
    assert await spool.acknowledge(RING, 1, [(0, stored)]) == stored + 1
    spool.close()
