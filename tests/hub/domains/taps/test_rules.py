"""A tap's time lies within its stated uncertainty, whatever a clock says."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.edge import TapEvent
from hub.domains.taps.rules import UNDATED_UNCERTAINTY_MS, tap_time

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def event(**more: Any) -> TapEvent:
    given: dict[str, Any] = {"t": NOW_MS, "unc_ms": 20, "t_src": "synced", "rx_ms": NOW_MS}
    return TapEvent(ring=b"\1" * 8, boot=1, seq=1, raw=b"", **given | more)


def ms(moment: datetime | None) -> int:
    assert moment is not None
    return round(moment.timestamp() * 1000)


def test_a_synchronised_gateway_is_believed() -> None:
    time = tap_time(event(t=NOW_MS - 5000), NOW_MS)
    assert time.tapped_at == datetime.fromtimestamp((NOW_MS - 5000) / 1000, UTC)
    assert (time.uncertainty_ms, time.source) == (20, "synced")


def test_a_tap_that_waited_for_weeks_keeps_its_time() -> None:
    time = tap_time(event(t=NOW_MS - 40 * 24 * HOUR_MS, t_src="bounded", unc_ms=HOUR_MS), NOW_MS)
    assert ms(time.tapped_at) == NOW_MS - 40 * 24 * HOUR_MS
    assert (time.uncertainty_ms, time.source) == (HOUR_MS, "bounded")


def test_a_time_in_the_future_is_cut_to_the_arrival_and_the_cut_is_uncertainty() -> None:
    time = tap_time(event(t=NOW_MS + HOUR_MS), NOW_MS)
    assert ms(time.tapped_at) == NOW_MS
    assert time.uncertainty_ms == HOUR_MS + 20


@given(
    wrong_by_ms=st.integers(-HOUR_MS, HOUR_MS),
    age_ms=st.integers(0, 48 * HOUR_MS),
    transit_ms=st.integers(0, 2000),
)
def test_a_clock_that_is_wrong_by_an_hour_leaves_the_time_within_its_uncertainty(
    wrong_by_ms: int, age_ms: int, transit_ms: int
) -> None:
    sent_ms = NOW_MS - transit_ms
    happened_ms = sent_ms - age_ms
    time = tap_time(event(t=happened_ms + wrong_by_ms, tx_ms=sent_ms + wrong_by_ms), NOW_MS)
    assert time.uncertainty_ms is not None
    # A clock that is ahead by less than the message was on its way is the one thing that hides.
    assert abs(ms(time.tapped_at) - happened_ms) <= time.uncertainty_ms + transit_ms
    assert time.uncertainty_ms <= 20 + abs(wrong_by_ms) + transit_ms


def test_an_unsynchronised_gateway_is_believed_only_in_differences() -> None:
    wrong = NOW_MS - HOUR_MS
    time = tap_time(event(t=wrong - 3000, rx_ms=wrong, t_src="none"), NOW_MS)
    assert ms(time.tapped_at) == NOW_MS - 3000
    assert (time.uncertainty_ms, time.source) == (UNDATED_UNCERTAINTY_MS, "none")


def test_a_clock_that_was_never_set_counts_as_none() -> None:
    time = tap_time(event(t=86_400_000, rx_ms=86_402_000), NOW_MS)
    assert ms(time.tapped_at) == NOW_MS - 2000
    assert time.source == "none"


def test_a_tap_that_nobody_could_date_has_no_time() -> None:
    time = tap_time(event(t=None, t_src="none"), NOW_MS)
    assert (time.tapped_at, time.uncertainty_ms, time.source) == (None, None, "none")


WHOLE = st.integers(-(1 << 63), 1 << 64)


@given(t=WHOLE, unc_ms=WHOLE, rx_ms=WHOLE, t_src=st.sampled_from(["synced", "gateway", "none"]))
def test_whatever_a_gateway_claims_the_time_can_be_stored_and_is_not_in_the_future(
    t: int, unc_ms: int, rx_ms: int, t_src: Any
) -> None:
    time = tap_time(event(t=t, unc_ms=unc_ms, rx_ms=rx_ms, t_src=t_src), NOW_MS)
    assert ms(time.tapped_at) <= NOW_MS
    assert time.uncertainty_ms is not None
    assert 0 <= time.uncertainty_ms < 1 << 31
