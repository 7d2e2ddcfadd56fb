"""Rotating identifiers: published vectors of the construction, and whom they resolve to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import eid
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("eid")
NOW_MS = 1_767_225_600_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

ids = st.binary(min_size=16, max_size=16)


def root(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ring(number: int) -> bytes:
    return number.to_bytes(8, "big")


def shown(number: int, at_ms: int) -> bytes:
    return eid.eid(eid.derive(root(number)), eid.window_of(at_ms))


@pytest.fixture
def index() -> eid.EidIndex:
    found = eid.EidIndex()
    for number in range(1, 21):
        found.put(ring(number), root(number))
    found.advance(NOW_MS)
    return found


@pytest.mark.parametrize("name", ["exposure_notification", "ours"])
def test_identifiers_are_those_of_the_vectors(name):
    golden = GOLDEN[name]
    labels = eid.Labels(*(golden["labels"][part].encode() for part in ("key", "block")))
    key = eid.derive(bytes.fromhex(golden["root_key"]), labels)
    assert key.hex() == golden["identifier_key"]
    for window, expected in golden["identifiers"].items():
        assert eid.eid(key, int(window), labels).hex() == expected
        assert eid.open_eid(key, bytes.fromhex(expected), labels) == int(window)


def test_the_vectors_of_ours_have_our_labels():
    labels = GOLDEN["ours"]["labels"]
    assert eid.Labels(labels["key"].encode(), labels["block"].encode()) == eid.PING


@given(ids, st.integers(min_value=0, max_value=2**32 - 1))
def test_an_identifier_says_its_window_to_its_key_only(key, window):
    shown = eid.eid(key, window)
    assert eid.open_eid(key, shown) == window
    assert eid.open_eid(bytes(byte ^ 1 for byte in key), shown) is None


@pytest.mark.parametrize("window", [-1, 2**32])
def test_a_window_is_a_u32(window):
    with pytest.raises(ValueError, match="u32"):
        eid.eid(bytes(16), window)


@pytest.mark.parametrize("off_ms", [-eid.WINDOW_MS, 0, eid.WINDOW_MS])
def test_a_ring_whose_clock_is_one_window_off_is_found(index, off_ms):
    found = index.resolve(shown(7, NOW_MS + off_ms), NOW_MS)
    assert found == eid.Sighting(ring(7), eid.window_of(NOW_MS + off_ms))


def test_an_identifier_of_another_time_resolves_only_within_the_uncertainty(index):
    old = shown(7, NOW_MS - 5 * HOUR_MS)
    assert index.resolve(old, NOW_MS) is None
    assert index.resolve(old, NOW_MS, HOUR_MS) is None
    assert index.resolve(old, NOW_MS, 5 * HOUR_MS) is not None


@pytest.mark.parametrize("age_ms", [20 * 60_000, 5 * HOUR_MS, 30 * DAY_MS])
def test_a_tap_that_waited_is_resolved_at_the_time_of_the_tap(index, age_ms):
    found = index.resolve(shown(3, NOW_MS - age_ms), NOW_MS - age_ms)
    assert found == eid.Sighting(ring(3), eid.window_of(NOW_MS - age_ms))


def test_windows_roll_on_with_the_time(index):
    for step in range(1, 8):
        now_ms = NOW_MS + step * eid.WINDOW_MS
        index.advance(now_ms)
        index.advance(now_ms + 1)
        assert index.resolve(shown(20, now_ms), now_ms) is not None
        assert index.resolve(shown(20, now_ms - 3 * eid.WINDOW_MS), now_ms) is None


def test_a_lost_ring_and_an_old_key_resolve_to_nobody(index):
    index.remove(ring(7))
    index.remove(ring(7))
    index.put(ring(8), root(99))
    for heard_ms in (NOW_MS, NOW_MS - DAY_MS):
        assert index.resolve(shown(7, heard_ms), heard_ms) is None
        assert index.resolve(shown(8, heard_ms), heard_ms) is None
        assert index.resolve(shown(99, heard_ms), heard_ms).ring_id == ring(8)
    assert len(index) == 19


def test_an_index_that_never_heard_the_time_still_resolves():
    index = eid.EidIndex()
    index.put(ring(1), root(1))
    assert index.resolve(shown(1, NOW_MS), NOW_MS) is not None


@pytest.mark.parametrize("data", [b"", bytes(15), bytes(16), bytes(17)])
def test_what_is_no_identifier_resolves_to_nobody(index, data):
    assert index.resolve(data, NOW_MS) is None


@pytest.mark.parametrize("heard_ms", [NOW_MS, NOW_MS - DAY_MS])
def test_each_single_bit_of_an_identifier_is_guarded(index, heard_ms):
    genuine = shown(7, heard_ms)
    for bit in range(len(genuine) * 8):
        flipped = bytearray(genuine)
        flipped[bit // 8] ^= 1 << bit % 8
        assert index.resolve(bytes(flipped), heard_ms, DAY_MS) is None
