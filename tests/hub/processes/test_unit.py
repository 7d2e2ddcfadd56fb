"""The life of a supervised child, as decisions."""

from hypothesis import given
from hypothesis import strategies as st

from hub.processes.unit import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    STABLE_SECONDS,
    Unit,
    stop_budgets,
)


def ready_unit(at: float = 0.0) -> Unit:
    unit = Unit(ready_timeout_seconds=10)
    assert unit.step(at, running=False, ready=False) == "start"
    unit.step(at, running=True, ready=True)
    assert unit.state == "ready"
    return unit


def test_a_child_is_started_once_and_then_left_alone():
    unit = ready_unit()
    assert [unit.step(float(now), running=True, ready=False) for now in range(5)] == ["nothing"] * 5


def test_a_crashed_child_is_started_again_after_a_pause():
    unit = ready_unit()
    assert unit.step(1.0, running=False, ready=False) == "nothing"
    assert unit.step(1.0 + FIRST_DELAY_SECONDS / 2, running=False, ready=False) == "nothing"
    assert unit.step(1.0 + FIRST_DELAY_SECONDS, running=False, ready=False) == "start"


def test_the_pause_doubles_with_each_crash_in_a_row_and_is_bounded():
    unit = ready_unit()
    delays: list[float] = []
    now = 1.0
    for _ in range(20):
        unit.step(now, running=False, ready=False)
        delays.append(unit.delay)
        now += unit.delay
        assert unit.step(now, running=False, ready=False) == "start"
    assert delays[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_a_crash_after_a_long_good_life_counts_as_the_first():
    unit = ready_unit()
    for now in (1.0, 5.0):
        unit.step(now, running=False, ready=False)
        unit.step(now + 2, running=False, ready=False)
        unit.step(now + 2, running=True, ready=True)
    unit.step(7.0 + STABLE_SECONDS + 1, running=False, ready=False)
    assert unit.failures == 1


def test_a_child_that_never_gets_ready_is_killed():
    unit = Unit(ready_timeout_seconds=10)
    unit.step(0.0, running=False, ready=False)
    assert unit.step(9.9, running=True, ready=False) == "nothing"
    assert unit.step(10.1, running=True, ready=False) == "kill"


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.booleans()), max_size=60))
def test_it_never_starts_a_child_that_is_running(steps: list[tuple[float, bool, bool]]):
    unit = Unit(ready_timeout_seconds=10)
    now = 0.0
    alive = False
    for pause, dies, ready in steps:
        now += pause
        alive = alive and not dies
        before = alive
        action = unit.step(now, running=alive, ready=ready)
        if action == "start":
            assert not before
            alive = True
        elif action == "kill":
            assert before
            alive = False


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=10), st.floats(1, 20))
def test_stages_share_the_time_to_stop(wanted: list[float], total: float):
    budgets = stop_budgets(wanted, total)
    assert sum(budgets) <= total + 1e-6
    assert all(0 < budget <= asked for budget, asked in zip(budgets, wanted, strict=True))
