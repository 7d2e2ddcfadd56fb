"""Fossil patches, applied by the official Python SDK; the JS SDK applies them in its own test."""

import json
import random
import time

import pytest
from centrifuge.fossil import apply_delta
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.protocol import fossil

DOCUMENT = {
    "tick": 100,
    "players": [{"name": f"player {i}", "x": i * 1.5, "hp": 100} for i in range(25)],
}


def test_a_small_change_of_a_document_is_a_small_patch():
    before = json.dumps(DOCUMENT).encode()
    after = before.replace(b'"tick": 100', b'"tick": 101').replace(b"7.5", b"31.25")
    patch = fossil.patch(before, after)
    assert patch
    assert (len(patch) < 40, len(after) > 1000) == (True, True)
    assert apply_delta(before, patch) == after


def test_parts_that_changed_places_are_copied():
    parts = [random.Random(seed).randbytes(3000) for seed in range(4)]
    before, after = b"".join(parts), b"".join(reversed(parts))
    patch = fossil.patch(before, after)
    assert patch
    assert len(patch) < 100
    assert apply_delta(before, patch) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b"", b"new"), (b"old", b""), (b"abc", b"xyz"), (b"a" * 100, b"b" * 100)],
)
def test_there_is_no_patch_when_the_target_is_smaller(before: bytes, after: bytes):
    assert fossil.patch(before, after) is None


def test_the_checksum_adds_big_endian_words():
    assert fossil.checksum(b"\x00\x00\x00\x01\x00\x00\x00\x02\x01") == 0x01000003
    assert fossil.checksum(b"\xff" * 8) == 0xFFFFFFFE
    assert fossil.checksum(b"") == 0


pieces = st.lists(st.sampled_from([b"a" * 40, b"0123456789abcdefXYZ", b'{"k": 1}', b"\x80" * 30]))


@given(
    st.binary(max_size=60) | pieces.map(b"".join),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.binary(max_size=20))),
)
def test_every_patch_restores_its_target(before: bytes, cuts: list[tuple[int, int, bytes]]):
    after = b"".join(before[min(a, b) : max(a, b)] + new for a, b, new in cuts)
    patch = fossil.patch(before, after)
    if patch is not None:
        assert len(patch) < len(after)
        assert apply_delta(before, patch) == after


words = st.lists(
    st.sampled_from(["grüße ", "日本語の文章です", "🙂🙃", "plain text here "]), max_size=12
)


@given(words, words, words)
def test_a_patch_of_text_is_text(head: list[str], middle: list[str], tail: list[str]):
    before = "".join([*head, "é", *tail]).encode()
    after = "".join([*head, *middle, "è", *tail, *head]).encode()
    patch = fossil.patch(before, after)
    if patch is not None:
        patch.decode()
        assert apply_delta(before, patch) == after


def hostile() -> list[tuple[bytes, bytes]]:
    chance = random.Random(7)
    blocks = [chance.randbytes(16) for _ in range(4096)]
    ones = b"a" * 65_536
    return [
        (chance.randbytes(65_536), chance.randbytes(65_536)),
        (ones, ones[:-5] + b"b" + ones),
        (b"".join(blocks), b"".join(block + b"-" for block in reversed(blocks))),
        (ones, b"".join(b"a" * chance.randrange(16, 40) + b"b" for _ in range(2300))),
        (b"\x80" * 65_536, b"x" + b"\x80" * 65_000),
        (b"ab" * 32_768, b"".join(b"ab" * chance.randrange(8, 200) + b"c" for _ in range(300))),
    ]


@pytest.mark.parametrize(("before", "after"), hostile())
def test_hostile_data_costs_time_only_in_proportion(before: bytes, after: bytes):
    patch = fossil.patch(before, after)
    assert patch is None or apply_delta(before, patch) == after
    small = seconds(before[: len(before) // 8], after[: len(after) // 8])
    # Quadratic work would be 64 times as much.
    assert seconds(before, after) < 32 * small + 0.005


def seconds(before: bytes, after: bytes) -> float:
    """Return the shortest of some times: what the work takes when nothing disturbs it."""
    times: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        fossil.patch(before, after)
        times.append(time.process_time() - begun)
    return min(times)
