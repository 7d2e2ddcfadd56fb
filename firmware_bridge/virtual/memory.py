"""The durable memory of a virtual ring: a journal file that survives SIGKILL and torn writes.

One line per fact, each with its CRC: `boot n reserved`, `tap hex`, `ack boot seq`, `sun counter`,
`keys hex`. All but acks are on disk before the call returns; a lost ack only costs a replay.
Numbers are reserved in pages of 64, so that a ring need not write one for each tap: after a restart
counting goes on behind the page, and seq never repeats.
"""

import os
import zlib
from pathlib import Path
from typing import Final

import msgspec

from firmware_bridge import tap
from firmware_bridge.virtual.key_slots import KeySlots

PAGE: Final = 64
CAPACITY: Final = 4096
_COMPACT_LINES: Final = 4 * CAPACITY


class MemoryFullError(Exception):
    """No room for another tap until a central acknowledges some."""


class Memory:
    """What a ring remembers; opening it is a start of the ring, so `boot` goes up by one."""

    def __init__(self, path: Path) -> None:
        self.boot = 0
        self.last_seq = 0
        self.sun_counter = 0
        self.slots = KeySlots()
        self._reserved = 0
        self._kept: dict[tuple[int, int], bytes] = {}
        self._path = path
        self._lines = 0
        self._load()
        self.boot += 1
        self.last_seq = max(self.last_seq, self._reserved)
        self._reserved = self.last_seq + PAGE
        path.parent.mkdir(parents=True, exist_ok=True)
        self._compact()

    @property
    def pending(self) -> list[bytes]:
        """The records that no central has acknowledged, oldest first."""
        return [self._kept[at] for at in sorted(self._kept)]

    @property
    def pending_count(self) -> int:
        """How many records are kept."""
        return len(self._kept)

    @property
    def oldest_seq(self) -> int:
        """The seq of the oldest kept record; 0 when none is."""
        return min(self._kept)[1] if self._kept else 0

    def keeps(self, raw: bytes) -> bool:
        """Tell whether a record still waits for its acknowledgement."""
        record = tap.decode(raw)
        return (record.boot, record.seq) in self._kept

    def next_seq(self, count: int = 1) -> int:
        """Return the seq that the next of `count` records must carry, or raise MemoryFullError."""
        if len(self._kept) + count > CAPACITY:
            raise MemoryFullError(f"{CAPACITY} taps wait for a central")
        return self.last_seq + 1

    def keep(self, *raws: bytes) -> None:
        """Store records durably, all by one write; only then may the ring send them."""
        records = [tap.decode(raw) for raw in raws]
        expected = range(self.last_seq + 1, self.last_seq + 1 + len(records))
        if [(it.boot, it.seq) for it in records] != [(self.boot, seq) for seq in expected]:
            raise ValueError("records are kept in the order of their seq")
        for raw, record in zip(raws, records, strict=True):
            if record.seq > self._reserved:
                self._reserved = record.seq + PAGE - 1
                self._append(f"boot {self.boot} {self._reserved}", durable=False)
            self._append(f"tap {raw.hex()}", durable=raw is raws[-1])
            self._kept[record.boot, record.seq] = raw
            self.last_seq = record.seq

    def acknowledge(self, boot: int, seq: int) -> int:
        """Forget the records of one boot up to seq; return how many those were."""
        forgotten = self._forget(boot, seq)
        if forgotten:
            self._append(f"ack {boot} {seq}", durable=False)
        return forgotten

    def count_sun(self) -> int:
        """Count one NFC read durably and return the counter; it saturates as the chip's does."""
        self.sun_counter = min(self.sun_counter + 1, (1 << 24) - 1)
        self._append(f"sun {self.sun_counter}", durable=True)
        return self.sun_counter

    def skip_sun(self, counter: int) -> None:
        """Count on from here, if that is further: a hub has seen such reads of this tag."""
        self.sun_counter = max(self.sun_counter, counter)

    def keep_slots(self, slots: KeySlots) -> None:
        """Store the ring's keys durably: either the old ones are there afterwards or the new."""
        self._append(_slots_fact(slots), durable=True)
        self.slots = slots

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _load(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            fact, _, check = line.rpartition(b" ")
            # What a power cut tore is at the end and was never sent.
            if not fact or b"%08x" % zlib.crc32(fact) != check:
                continue
            self._apply(fact.decode("ascii").split(" "))

    def _apply(self, fact: list[str]) -> None:
        match fact:
            case ["boot", boot, reserved]:
                self.boot = max(self.boot, int(boot))
                self._reserved = max(self._reserved, int(reserved))
            case ["tap", text]:
                raw = bytes.fromhex(text)
                record = tap.decode(raw)
                self._kept[record.boot, record.seq] = raw
                self.last_seq = max(self.last_seq, record.seq)
            case ["ack", boot, seq]:
                self._forget(int(boot), int(seq))
            case ["sun", counter]:
                self.sun_counter = max(self.sun_counter, int(counter))
            case ["keys", text]:
                self.slots = msgspec.msgpack.decode(bytes.fromhex(text), type=KeySlots)
            case _:
                pass

    def _forget(self, boot: int, seq: int) -> int:
        gone = [at for at in self._kept if at[0] == boot and at[1] <= seq]
        for at in gone:
            del self._kept[at]
        return len(gone)

    def _append(self, fact: str, *, durable: bool) -> None:
        if self._lines >= _COMPACT_LINES:
            # Before, not after: what is being written is not yet among what is remembered.
            self._file.close()
            self._compact()
        self._file.write(_line(fact))
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self._lines += 1

    def _compact(self) -> None:
        facts = [f"boot {self.boot} {self._reserved}", f"sun {self.sun_counter}"]
        if self.slots != KeySlots():
            facts.append(_slots_fact(self.slots))
        facts += [f"tap {raw.hex()}" for raw in self.pending]
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_line(fact) for fact in facts)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._file = self._path.open("ab")
        self._lines = len(facts)


def _slots_fact(slots: KeySlots) -> str:
    return f"keys {msgspec.msgpack.encode(slots).hex()}"


def _line(fact: str) -> bytes:
    return f"{fact} {zlib.crc32(fact.encode()):08x}\n".encode()
