"""The bucket of commands: bursts, steady rates, and nothing in between that adds up."""

from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.sessions import limits
from hub.realtime.sessions.limits import Pace

PER_SECOND = 10
BURST = 20


def paces(times: list[float]) -> list[Pace]:
    empty_at, found = 0.0, list[Pace]()
    for now in times:
        empty_at, pace = limits.count(empty_at, now, PER_SECOND, BURST)
        found.append(pace)
    return found


def test_a_burst_is_fine_then_refused_then_abusive():
    found = paces([5.0] * 45)
    assert found == [Pace.FINE] * 20 + [Pace.TOO_FAST] * 20 + [Pace.ABUSIVE] * 5


def test_who_keeps_to_the_rate_is_never_refused():
    assert set(paces([number / PER_SECOND for number in range(1000)])) == {Pace.FINE}


def test_who_waits_may_go_on():
    assert paces([0.0] * 30 + [3.0])[-1] is Pace.FINE


def test_without_a_rate_nothing_is_limited():
    assert limits.count(0.0, 1.0, 0, 1) == (0.0, Pace.FINE)


@given(st.lists(st.floats(0, 2), max_size=200))
def test_no_order_of_commands_gets_more_than_burst_and_rate_allow(gaps: list[float]):
    now, times = 0.0, list[float]()
    for gap in gaps:
        now += gap
        times.append(now)
    fine = [moment for moment, pace in zip(times, paces(times), strict=True) if pace is Pace.FINE]
    for first, start in enumerate(fine):
        for last in range(first, len(fine)):
            allowed = BURST + (fine[last] - start) * PER_SECOND
            assert last - first + 1 <= allowed + 1e-3
