"""A ring's memory: no record that was kept is lost, no number is used twice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from firmware_bridge import tap
from firmware_bridge.virtual import memory
from firmware_bridge.virtual.memory import CAPACITY, PAGE, Memory, MemoryFullError


@pytest.fixture
def start() -> Iterator[Callable[[Path], Memory]]:
    """Open memories; what is not closed before the end of a test was killed."""
    opened: list[Memory] = []

    def start(path: Path) -> Memory:
        opened.append(Memory(path))
        return opened[-1]

    yield start
    for of in opened:
        of.close()


def record(of: Memory) -> bytes:
    fields = tap.TapRecord(kind="button", boot=of.boot, seq=of.next_seq(), uptime_ms=0)
    return tap.encode(fields, ring_id=bytes(8), key=bytes(16))


def seqs(of: Memory) -> list[int]:
    return [tap.decode(raw).seq for raw in of.pending]


def test_a_start_counts_the_boot_and_seq_goes_on_behind_the_page(tmp_path: Path, start):
    first = start(tmp_path / "m")
    assert (first.boot, first.next_seq()) == (1, 1)
    first.keep(record(first))
    second = start(tmp_path / "m")
    assert (second.boot, second.next_seq()) == (2, PAGE + 1)
    assert seqs(second) == [1]


def test_a_record_is_forced_to_disk_before_it_may_be_sent(tmp_path: Path, start, monkeypatch):
    of = start(tmp_path / "m")
    forced: list[bytes] = []
    monkeypatch.setattr(
        memory.os, "fsync", lambda _file: forced.append((tmp_path / "m").read_bytes())
    )
    raw = record(of)
    of.keep(raw)
    assert raw.hex().encode() in forced[-1]


def test_records_kept_together_are_on_disk_after_one_write(tmp_path: Path, start, monkeypatch):
    of, other = start(tmp_path / "m"), start(tmp_path / "other")
    raws: list[bytes] = []
    for _ in range(3):
        raws.append(record(other))
        other.keep(raws[-1])
    forced: list[bytes] = []
    monkeypatch.setattr(
        memory.os, "fsync", lambda _file: forced.append((tmp_path / "m").read_bytes())
    )
    of.keep(*raws)
    assert len(forced) == 1
    assert all(raw.hex().encode() in forced[0] for raw in raws)
    assert seqs(start(tmp_path / "m")) == [1, 2, 3]


def test_a_record_survives_the_tidying_that_falls_on_it(tmp_path: Path, start, monkeypatch):
    monkeypatch.setattr(memory, "_COMPACT_LINES", 10)
    of = start(tmp_path / "m")
    for _ in range(30):
        of.keep(record(of))
        copy = tmp_path / "copy"
        copy.write_bytes((tmp_path / "m").read_bytes())
        assert seqs(start(copy)) == seqs(of)


def test_an_acknowledgement_forgets_its_own_boot_up_to_the_mark(tmp_path: Path, start):
    old = start(tmp_path / "m")
    for _ in range(3):
        old.keep(record(old))
    new = start(tmp_path / "m")
    new.keep(record(new))
    assert new.acknowledge(2, new.last_seq) == 1
    assert seqs(new) == [1, 2, 3]
    assert new.acknowledge(1, 2) == 2
    assert seqs(new) == [3]
    assert seqs(start(tmp_path / "m")) == [3]


def test_a_torn_last_line_is_as_if_never_written(tmp_path: Path, start):
    path = tmp_path / "m"
    of = start(path)
    of.keep(record(of))
    whole = path.read_bytes()
    of.keep(record(of))
    grown = path.read_bytes()
    for cut in range(len(whole), len(grown) - 1):
        path.write_bytes(grown[:cut])
        assert seqs(start(path)) == [1]


def test_a_spoiled_line_does_not_spoil_the_others(tmp_path: Path, start):
    path = tmp_path / "m"
    of = start(path)
    for _ in range(3):
        of.keep(record(of))
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b"tap 1", b"tap 2")
    path.write_bytes(b"\n".join(lines))
    assert seqs(start(path)) == [1, 3]


def test_a_full_memory_refuses_instead_of_forgetting(tmp_path: Path, start, monkeypatch):
    monkeypatch.setattr(memory, "CAPACITY", 3)
    of = start(tmp_path / "m")
    for _ in range(3):
        of.keep(record(of))
    with pytest.raises(MemoryFullError):
        of.next_seq()
    of.acknowledge(1, 1)
    of.keep(record(of))
    assert seqs(of) == [2, 3, 4]


def test_the_journal_is_compacted_while_it_runs(tmp_path: Path, start, monkeypatch):
    monkeypatch.setattr(memory, "_COMPACT_LINES", 20)
    of = start(tmp_path / "m")
    for _ in range(200):
        of.keep(record(of))
        of.acknowledge(of.boot, of.last_seq - 1)
    assert len((tmp_path / "m").read_bytes().splitlines()) < 25
    again = start(tmp_path / "m")
    assert seqs(again) == [200]
    assert again.next_seq() > 200


def test_records_come_in_the_order_of_their_seq(tmp_path: Path, start):
    of = start(tmp_path / "m")
    raw = record(of)
    of.keep(raw)
    with pytest.raises(ValueError, match="order"):
        of.keep(raw)


def test_the_sun_counter_is_durable_and_saturates(tmp_path: Path, start):
    of = start(tmp_path / "m")
    assert [of.count_sun(), of.count_sun()] == [1, 2]
    again = start(tmp_path / "m")
    assert again.count_sun() == 3
    again.sun_counter = (1 << 24) - 1
    assert again.count_sun() == (1 << 24) - 1


@given(junk=st.binary(max_size=300))
@settings(max_examples=50, deadline=None)  # a disk may be busy
def test_any_file_opens(tmp_path_factory: pytest.TempPathFactory, junk: bytes):
    path = tmp_path_factory.mktemp("junk") / "m"
    path.write_bytes(junk)
    assert Memory(path).boot == 1


class MemoryMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: what was kept and not acknowledged is there."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / f"m{len(list(self.folder.iterdir()))}"
        self.memory = Memory(self.path)
        self.expected: dict[tuple[int, int], bytes] = {}
        self.used: set[int] = set()

    @rule(count=st.integers(min_value=1, max_value=70))
    def taps(self, count: int) -> None:
        for _ in range(min(count, CAPACITY - len(self.expected))):
            raw = record(self.memory)
            self.memory.keep(raw)
            kept = tap.decode(raw)
            assert kept.seq not in self.used
            self.used.add(kept.seq)
            self.expected[kept.boot, kept.seq] = raw

    @rule(boots_ago=st.integers(min_value=0, max_value=2), seq=st.integers(0, 400))
    def is_acknowledged(self, boots_ago: int, seq: int) -> None:
        boot = self.memory.boot - boots_ago
        self.memory.acknowledge(boot, seq)
        gone = [at for at in self.expected if at[0] == boot and at[1] <= seq]
        for at in gone:
            del self.expected[at]

    @rule()
    def is_killed_and_starts_again(self) -> None:
        boot = self.memory.boot
        self.memory.close()
        self.memory = Memory(self.path)
        assert self.memory.boot == boot + 1

    def teardown(self) -> None:
        self.memory.close()

    @invariant()
    def keeps_what_nobody_acknowledged(self) -> None:
        assert self.memory.pending == [self.expected[at] for at in sorted(self.expected)]


def test_the_memory_holds_in_every_order_of_events(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(memory.os, "fsync", lambda _file: None)  # order matters here, not disks
    MemoryMachine.folder = tmp_path
    run_state_machine_as_test(
        MemoryMachine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None)
    )
