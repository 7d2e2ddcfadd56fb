"""A burst, then so many per second, each subject for itself."""

import pytest

from core import clock
from core.budget import Budget


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: times[0])
    return times


def test_a_burst_is_granted_and_then_what_time_has_brought(now: list[float]) -> None:
    budget = Budget(burst=3, per_second=2)
    assert [budget.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert budget.take("b")
    now[0] += 1.0
    assert [budget.take("a") for _ in range(3)] == [True, True, False]
    now[0] += 3600
    assert [budget.take("a") for _ in range(4)] == [True, True, True, False]


def test_the_table_of_subjects_is_bounded(now: list[float]) -> None:
    del now
    budget = Budget(burst=1, per_second=0)
    for subject in range(10_001):
        assert budget.take(subject)
    assert not budget.take(10_000)
    assert not budget.take(1)
    assert budget.take(0)
