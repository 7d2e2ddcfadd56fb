"""When a tap happened, and how sure the gateway is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ring_time import DRIFT, RingTime

DAY_MS = 24 * 3600 * 1000
EPOCH = 1_800_000_000_000


def test_a_tap_of_a_pinned_boot_is_dated_within_half_the_round_trip():
    time = RingTime()
    time.observe(3, 10_000, EPOCH, round_trip_ms=8)
    when = time.date(3, 4_000, EPOCH + 50, live=False)
    assert (when.unix_ms, when.source) == (EPOCH - 6_000, "synced")
    assert 4 <= when.uncertainty_ms <= 6


@given(
    true_offset=st.integers(0, 40 * DAY_MS),
    delays=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=6),
    tap_at=st.integers(0, 20 * DAY_MS),
    drift=st.floats(-DRIFT, DRIFT),
)
def test_the_true_time_is_within_the_stated_uncertainty(true_offset, delays, tap_at, drift):
    """`true_offset` is the ring's uptime when the gateway first looks; its crystal drifts."""
    time = RingTime()

    def uptime(unix_ms: int) -> int:
        return round(true_offset + (unix_ms - EPOCH) * (1 + drift)) % 2**32

    for number, (there, back) in enumerate(delays):
        asked = EPOCH + number * 60_000
        middle = asked + (there + back) // 2
        time.observe(1, uptime(asked + there), middle, there + back)
    happened = EPOCH + tap_at
    when = time.date(1, uptime(happened), happened + 5, live=True)
    assert when.unix_ms is not None
    assert abs(when.unix_ms - happened) <= when.uncertainty_ms + 2


def test_a_better_measurement_replaces_a_worse_one_and_not_the_other_way_round():
    time = RingTime()
    time.observe(1, 1000, EPOCH, round_trip_ms=200)
    time.observe(1, 2000, EPOCH + 1000, round_trip_ms=10)
    time.observe(1, 3000, EPOCH + 2050, round_trip_ms=300)
    when = time.date(1, 2500, EPOCH + 2100, live=True)
    assert when.unix_ms == EPOCH + 1500
    assert when.uncertainty_ms < 10


def test_a_tap_of_an_unpinned_older_boot_lies_between_its_neighbours():
    time = RingTime()
    time.observe(1, 5_000, EPOCH, round_trip_ms=2)
    time.observe(3, 10_000, EPOCH + 100_000, round_trip_ms=2)
    when = time.date(2, 3_000, EPOCH + 100_010, live=False)
    assert when.source == "bounded"
    assert when.unix_ms is not None
    low, high = when.unix_ms - when.uncertainty_ms, when.unix_ms + when.uncertainty_ms
    assert low <= EPOCH + 3_000
    assert high >= EPOCH + 90_000
    assert high < EPOCH + 90_010


def test_without_any_older_sign_the_time_is_not_made_up():
    time = RingTime()
    time.observe(2, 10_000, EPOCH, round_trip_ms=2)
    when = time.date(1, 3_000, EPOCH, live=False)
    assert (when.unix_ms, when.source) == (None, "none")


def test_a_live_tap_before_the_first_status_has_the_gateways_time():
    when = RingTime().date(1, 3_000, EPOCH, live=True)
    assert (when.unix_ms, when.source) == (EPOCH, "gateway")
    assert when.uncertainty_ms >= 500


def test_what_was_learnt_survives_a_restart_of_the_gateway():
    time = RingTime()
    time.observe(1, 5_000, EPOCH, round_trip_ms=2)
    again = RingTime(time.dump())
    assert again.date(1, 6_000, EPOCH, live=False) == time.date(1, 6_000, EPOCH, live=False)


@pytest.mark.parametrize("state", [b"\xff", b"\x81\xa1", b"\x93\x01\x02\x03"])
def test_a_spoilt_memory_begins_anew(state):
    assert RingTime(state).date(1, 0, EPOCH, live=False).source == "none"


def test_only_the_last_boots_are_remembered():
    time = RingTime()
    for boot in range(1, 100):
        time.observe(boot, 0, EPOCH + boot * 1000, round_trip_ms=1)
    assert len(time.dump()) < 1000


@pytest.mark.parametrize("jump_ms", [-3_600_000, -5000, 5000, 3_600_000])
def test_a_gateway_clock_that_was_set_is_believed_at_the_next_look(jump_ms: int):
    time = RingTime()
    time.observe(1, 1000, EPOCH, round_trip_ms=1)
    time.observe(1, 31_000, EPOCH + 30_000 + jump_ms, round_trip_ms=80)
    when = time.date(1, 32_000, EPOCH + 31_005 + jump_ms, live=True)
    assert when.unix_ms == EPOCH + 31_000 + jump_ms
    assert when.uncertainty_ms >= 40


@pytest.mark.parametrize("moved_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_takes_what_is_known_along(moved_ms):
    time = RingTime()
    time.observe(1, uptime_ms=1_000, unix_ms=1_000_000, round_trip_ms=10)
    before = time.date(1, 5_000, 1_004_100, live=True)
    bounded = time.date(2, 500, 1_010_000, live=False)
    time.shift(moved_ms)
    after = time.date(1, 5_000, 1_004_100 + moved_ms, live=True)
    assert after.unix_ms == (before.unix_ms or 0) + moved_ms
    assert after.uncertainty_ms == before.uncertainty_ms
    moved = time.date(2, 500, 1_010_000 + moved_ms, live=False)
    assert (moved.unix_ms or 0) - (bounded.unix_ms or 0) == moved_ms
