"""Retries spread out and end."""

from hypothesis import given
from hypothesis import strategies as st

from hub.domains.events import rules

ATTEMPTS = st.integers(1, rules.MAX_ATTEMPTS)
CHANCE = st.floats(0, 1, exclude_max=True)


@given(ATTEMPTS, CHANCE)
def test_a_retry_waits_at_least_a_second_and_at_most_an_hour(attempts: int, chance: float) -> None:
    assert 1 <= rules.retry_delay_seconds(attempts, chance) <= 3600


@given(st.integers(1, 30), CHANCE, CHANCE)
def test_a_later_retry_never_waits_less_than_half_of_an_earlier_ones_limit(
    attempts: int, chance: float, later: float
) -> None:
    earlier = rules.retry_delay_seconds(attempts, chance)
    assert rules.retry_delay_seconds(attempts + 1, later) >= earlier / 2


def test_chance_spreads_the_retries_of_one_moment() -> None:
    delays = {rules.retry_delay_seconds(5, chance / 10) for chance in range(10)}
    assert len(delays) == 10


def test_a_task_dies_after_its_last_attempt() -> None:
    assert not rules.is_dead(rules.MAX_ATTEMPTS - 1)
    assert rules.is_dead(rules.MAX_ATTEMPTS)
