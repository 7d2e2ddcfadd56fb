"""Waits grow and spread, and end soon after what they wait for has come back."""

from core.pause import LONGEST_SECONDS, pause_seconds


def test_the_first_wait_is_hardly_felt():
    assert 0.05 <= pause_seconds(1) <= 0.1


def test_waits_double_up_to_the_longest():
    for failures, ceiling in ((1, 0.1), (2, 0.2), (4, 0.8), (6, LONGEST_SECONDS)):
        longest = max(pause_seconds(failures) for _ in range(500))
        assert 0.9 * ceiling <= longest <= ceiling


def test_waits_of_many_differ():
    assert len({pause_seconds(5) for _ in range(100)}) > 90


def test_after_days_of_failures_the_wait_is_still_the_longest():
    assert LONGEST_SECONDS / 2 <= pause_seconds(1_000_000) <= LONGEST_SECONDS
