"""What strangers cause is said sparingly, and nothing of it is forgotten in the count."""

import pytest

from core import clock
from core.sparingly import Sparingly


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: times[0])
    return times


def test_the_first_is_said_and_the_others_with_the_next_one_after_a_minute(
    now: list[float],
) -> None:
    said = Sparingly()
    assert [said.turn("a") for _ in range(4)] == [1, 0, 0, 0]
    assert said.turn("b") == 1
    now[0] += 59.9
    assert said.turn("a") == 0
    now[0] += 0.1
    assert [said.turn("a"), said.turn("a")] == [5, 0]


def test_the_oldest_of_many_subjects_are_forgotten(now: list[float]) -> None:
    said = Sparingly()
    for subject in range(1001):
        now[0] += 0.001
        said.turn(subject)
    assert said.turn(1000) == 0
    assert said.turn(1) == 0
    assert said.turn(0) == 1
