"""Blind indexes are found under every live key, written under the newest, and can move."""

import os

import pytest

from core.blind_indexes import HMAC_BYTES, BlindIndexes, UnreadableIndexError
from core.data_keys import INDEX_SCOPE, DataKeys
from core.errors import DomainError

INDEX = bytes(range(HMAC_BYTES))


class Process:
    """A process's index keys, and the time that a test gives it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.keys = DataKeys(cache_seconds=3600, announce_seconds=60, now=lambda: self.seconds)
        self.indexes = BlindIndexes(self.keys)
        self._listed: dict[int, str] = {}

    def take(self, number: int, key: bytes, *, seals_in_seconds: float = 0.0) -> None:
        self._listed[number] = INDEX_SCOPE
        self.keys.put(number, INDEX_SCOPE, number, key, seals_in_seconds=seals_in_seconds)
        self.look()

    def forget(self, number: int) -> None:
        del self._listed[number]
        self.look()

    def look(self) -> None:
        self.keys.list_all(self._listed)


@pytest.fixture
def process() -> Process:
    process = Process()
    process.look()
    return process


def test_without_an_index_key_an_index_is_the_hmac_itself(process: Process) -> None:
    assert process.indexes.written(INDEX) == INDEX
    assert process.indexes.live(INDEX) == [INDEX]
    assert process.indexes.mark() == b""
    assert BlindIndexes(None).live(INDEX) == [INDEX]


@pytest.mark.req("ACC-15")
def test_of_two_live_keys_the_newest_writes_and_both_are_asked(process: Process) -> None:
    process.take(1, os.urandom(32))
    first = process.indexes.written(INDEX)
    process.take(2, os.urandom(32))
    second = process.indexes.written(INDEX)
    assert len({INDEX, first, second}) == 3
    assert process.indexes.live(INDEX) == [second, first, INDEX]
    assert second.startswith(process.indexes.mark())
    assert INDEX not in second


def test_an_announced_key_is_asked_and_does_not_write_yet(process: Process) -> None:
    early = Process()
    key = os.urandom(32)
    process.take(1, key, seals_in_seconds=60)
    early.take(1, key)
    assert process.indexes.written(INDEX) == INDEX
    # Another process's clock may be ahead: what it has written is found.
    assert early.indexes.written(INDEX) in process.indexes.live(INDEX)
    process.seconds = 59.9
    process.look()
    assert process.indexes.written(INDEX) == INDEX
    process.seconds = 60
    assert process.indexes.written(INDEX) == early.indexes.written(INDEX)


def test_an_index_moves_without_the_value_it_was_made_of(process: Process) -> None:
    process.take(1, os.urandom(32))
    first = process.indexes.renewed(INDEX)
    process.take(2, os.urandom(32))
    second = process.indexes.renewed(first)
    process.forget(1)
    assert process.indexes.live(INDEX) == [second, INDEX]
    assert process.indexes.renewed(second) == second


def test_what_nobody_can_read_is_left(process: Process) -> None:
    process.take(1, os.urandom(32))
    stored = process.indexes.written(INDEX)
    broken = [
        b"",
        b"short",
        stored[:-1],
        stored[:-1] + bytes((stored[-1] ^ 1,)),
        b"\2" + stored[1:],
    ]
    process.keys.put(9, "people", 1, os.urandom(32), seals_in_seconds=0)
    process.keys.list_all({1: INDEX_SCOPE, 9: "people"})
    broken.append(b"\3" + (9).to_bytes(4) + stored[5:])
    broken.append(b"\3" + (7).to_bytes(4) + stored[5:])
    for value in broken:
        with pytest.raises(UnreadableIndexError):
            process.indexes.renewed(value)
    with pytest.raises(UnreadableIndexError):
        BlindIndexes(None).renewed(stored)


def test_while_a_key_is_away_nothing_seems_not_to_be_there(process: Process) -> None:
    never = BlindIndexes(DataKeys(cache_seconds=3600, announce_seconds=60))
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        never.live(INDEX)
    process.keys.list_all({1: INDEX_SCOPE})
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        process.indexes.live(INDEX)
    process.take(1, os.urandom(32))
    assert len(process.indexes.live(INDEX)) == 2
    # Since the last look another key may have been announced and have begun to write.
    process.seconds = 60
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        process.indexes.live(INDEX)
    process.look()
    assert len(process.indexes.live(INDEX)) == 2


def test_an_index_key_of_another_hub_gives_another_form(process: Process) -> None:
    other = Process()
    for each in (process, other):
        each.take(1, os.urandom(32))
    assert process.indexes.written(INDEX) != other.indexes.written(INDEX)
    with pytest.raises(UnreadableIndexError):
        other.indexes.renewed(process.indexes.written(INDEX))
