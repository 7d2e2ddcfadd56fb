"""A damaged spool gives back every tap that is not itself destroyed, and damage is noticed."""

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import spool_carving
from gateway.spool import Entry, Spool

PAGE = spool_carving.PAGE_BYTES
FRAME = PAGE + 24
TAPS = 120


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a gateway that died: some taps in the file already, some in its log only."""
    folder = tmp_path_factory.mktemp("killed")
    path = folder / "live" / "spool.db"

    async def fill() -> None:
        for first in (0, TAPS // 2):
            spool = Spool(path)
            for seq in range(first, first + TAPS // 2):
                await spool.put(Entry(b"ring-001", 1, seq, raw(seq), b"payload", 1_000 + seq))
            if first:
                await spool.quarantine(b"ring-001", 1, [])
                shutil.copytree(path.parent, folder / "dead")
            spool.close()

    asyncio.run(fill())
    return folder / "dead"


def raw(seq: int) -> bytes:
    return b"raw %06d " % seq + bytes(33)


def damaged(killed: Path, folder: Path) -> Path:
    shutil.copytree(killed, folder)
    return folder / "spool.db"


def overwrite(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(length))


def survivors(path: Path) -> set[int]:
    """Whose bytes are still there."""
    log = path.with_name("spool.db-wal")
    left = path.read_bytes() + (log.read_bytes() if log.exists() else b"")
    return {seq for seq in range(TAPS) if raw(seq) in left}


def taken_over(path: Path) -> tuple[set[int], int]:
    """What a gateway finds that starts on the file, and how often it saw damage."""

    async def look() -> tuple[set[int], int]:
        spool = Spool(path)
        rows = await spool.after(0, 10_000)
        assert [row.seq for row in rows] == sorted(row.seq for row in rows)
        corruptions = (await spool.stats()).corruptions
        spool.close()
        return {row.seq for row in rows}, corruptions

    return asyncio.run(look())


def test_without_damage_nothing_is_noticed(killed, tmp_path):
    path = damaged(killed, tmp_path / "spool")
    assert path.with_name("spool.db-wal").stat().st_size > 10 * FRAME
    assert taken_over(path) == (set(range(TAPS)), 0)


def test_a_log_whose_last_transaction_is_torn_is_no_damage(killed, tmp_path):
    path = damaged(killed, tmp_path / "spool")
    log = path.with_name("spool.db-wal")
    last = (log.stat().st_size - 32) // FRAME - 1
    overwrite(log, 32 + last * FRAME + 100, 1000)
    found, corruptions = taken_over(path)
    assert corruptions == 0
    assert found >= set(range(TAPS - 1))


@pytest.mark.parametrize("page", range(6))
def test_noise_over_a_page_of_the_file_costs_only_what_stood_there_alone(killed, tmp_path, page):
    path = damaged(killed, tmp_path / "spool")
    overwrite(path, page * PAGE, PAGE)
    whole = survivors(path)
    found, _ = taken_over(path)
    assert found == whole
    assert len(found) >= TAPS - 40


@pytest.mark.parametrize("frame", [0, 1, 5, 20])
def test_noise_in_the_log_is_noticed_and_costs_no_tap_behind_it(killed, tmp_path, frame):
    path = damaged(killed, tmp_path / "spool")
    overwrite(path.with_name("spool.db-wal"), 32 + frame * FRAME, FRAME)
    whole = survivors(path)
    found, corruptions = taken_over(path)
    assert found == whole
    assert corruptions == 1
    assert any(
        ".corrupt-" in file.name and file.name.endswith("-wal") for file in path.parent.iterdir()
    )


def test_a_log_without_its_head_is_read_all_the_same(killed, tmp_path):
    path = damaged(killed, tmp_path / "spool")
    overwrite(path.with_name("spool.db-wal"), 0, 32)
    assert taken_over(path) == (set(range(TAPS)), 1)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, PAGE - 200))
def test_noise_is_never_more_than_an_unreadable_row(noise, at):
    page = bytearray(PAGE)
    page[:8] = b"\x0d\x00\x00\x00\x05\x00\x00\x00"
    page[8:18] = at.to_bytes(2, "big") * 5
    page[at : at + len(noise)] = noise
    for row_id, columns in spool_carving.records(bytes(PAGE) + bytes(page), b""):
        assert isinstance(row_id, int)
        assert isinstance(columns, list)


@given(st.binary(max_size=3 * FRAME))
@settings(max_examples=50, deadline=None)
def test_any_log_is_judged(log):
    assert spool_carving.is_cut(log) in (True, False)


def test_rows_are_read_as_sqlite_reads_them(tmp_path):
    path = tmp_path / "numbers.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY, a, b, c, d)")
    values = [0, 1, -1, 127, -129, 40_000, 1 << 20, -(1 << 30), 1 << 40, -(1 << 60), None]
    for number, value in enumerate(values):
        db.execute(
            "INSERT INTO numbers VALUES (?, ?, 'täxt', x'00ff', '')", (1 << number * 4, value)
        )
    db.commit()
    rows = [(row[0], [None, *row[1:]]) for row in db.execute("SELECT * FROM numbers")]
    db.close()
    assert list(spool_carving.records(path.read_bytes(), b""))[-len(rows) :] == rows
