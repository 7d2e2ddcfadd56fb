"""Rhythms follow from times alone, by rules that hold for every history."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domains.intelligence import rules
from hub.domains.intelligence.schemas import Contacted
from hub.domains.interactions.schemas import Direction, InteractionKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
KINDS: list[InteractionKind] = ["call", "email", "meeting"]
DIRECTIONS: list[Direction] = ["inbound", "outbound", "mutual"]
HISTORIES = st.lists(
    st.builds(
        Contacted,
        st.integers(0, 1000 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds)),
        st.sampled_from(KINDS),
        st.sampled_from(DIRECTIONS),
    ),
    max_size=40,
)

RHYTHMS = st.lists(st.integers(0, 900), min_size=4, max_size=40, unique=True)
"""Days ago."""


def at_days(*days_ago: int, kind: InteractionKind = "call") -> list[Contacted]:
    return [Contacted(NOW - timedelta(days=days), kind, "mutual") for days in days_ago]


@pytest.mark.req("CON-14")
def test_who_is_called_each_week_is_expected_a_week_after_the_last_call() -> None:
    found = rules.expected_next(at_days(3, 10, 17, 24, 31), NOW, UTC)
    assert found is not None
    expected = NOW.date() + timedelta(days=4)
    assert (found.earliest_on, found.expected_on, found.latest_on) == (expected,) * 3
    assert not found.is_overdue
    assert found.gaps == 4


def test_an_uneven_rhythm_gives_an_interval_and_less_confidence() -> None:
    even = rules.expected_next(at_days(0, 10, 20, 30, 40), NOW, UTC)
    uneven = rules.expected_next(at_days(0, 2, 20, 25, 40), NOW, UTC)
    assert even is not None
    assert uneven is not None
    assert uneven.earliest_on < uneven.expected_on < uneven.latest_on
    assert uneven.confidence < even.confidence


def test_who_was_not_met_for_longer_than_ever_is_overdue() -> None:
    found = rules.expected_next(at_days(30, 37, 44, 51), NOW, UTC)
    assert found is not None
    assert found.is_overdue


def test_many_messages_of_one_day_are_one_day() -> None:
    assert rules.expected_next(at_days(1, 1, 1, 1, 1, 8), NOW, UTC) is None
    assert rules.frequency(at_days(1, 1, 1, 8), NOW, UTC).median_gap_days == 7


@pytest.mark.parametrize(
    ("days_ago", "trend"),
    [
        ((1, 2, 3, 100, 200), "more"),
        ((1, 100, 101, 102, 200), "less"),
        ((1, 2, 100, 101, 200), "same"),
        ((1, 2, 3, 200), None),  # three are chance
        ((1, 2, 3, 4, 100), None),  # somebody new: there is more by nature
        ((400,), None),
    ],
)
def test_a_trend_compares_a_quarter_with_the_one_before(
    days_ago: tuple[int, ...], trend: str | None
) -> None:
    assert rules.frequency(at_days(*days_ago), NOW, UTC).trend == trend


def test_an_evening_is_one_by_the_users_clock_in_summer_and_winter() -> None:
    evenings = [
        Contacted(datetime(2026, month, day, 20, 15, tzinfo=BERLIN), "call", "outbound")
        for month, day in ((1, 6), (2, 3), (6, 2), (7, 7), (8, 4))
    ]
    found = rules.usual_time(evenings, BERLIN)
    assert (found.weekday, found.hour) == (2, 20)
    assert rules.usual_time(evenings, UTC).hour != 20


def test_a_few_times_or_even_ones_are_no_habit() -> None:
    assert rules.usual_time(at_days(0, 7, 14, 21), UTC).weekday is None
    assert rules.usual_time(at_days(*range(70)), UTC).weekday is None
    assert rules.usual_time(at_days(0, 7, 14, 1, 8, 15), UTC).weekday is None
    # Each at another hour: the first of them is no usual one.
    hours = [
        Contacted(NOW - timedelta(days=n, hours=n), "call", "inbound") for n in (1, 2, 3, 4, 5)
    ]
    assert rules.usual_time(hours, UTC).hour is None


def test_a_long_talk_is_no_habit() -> None:
    evening = [
        Contacted(NOW - timedelta(seconds=n), "message", "inbound") for n in range(1, 3000, 60)
    ]
    found = rules.usual_time([*evening, *at_days(3, 9, 13, 20)], UTC)
    assert (found.weekday, sum(found.by_weekday)) == (None, 5)


def test_once_or_twice_says_nothing_but_that_it_was() -> None:
    for days_ago in ((1,), (1, 9), (1, 9, 30)):
        told = at_days(*days_ago, kind="email")
        shown = rules.frequency(told, NOW, UTC)
        assert (shown.interactions, shown.days, shown.trend) == (len(told), len(told), None)
        assert rules.expected_next(told, NOW, UTC) is None
        assert rules.usual_time(told, UTC).hour is None
    assert rules.directions([Contacted(NOW, "email", "outbound")] * 2).balance is None


def test_what_ended_long_ago_is_expected_with_little_confidence() -> None:
    fresh = rules.expected_next(at_days(*range(7, 140, 7)), NOW, UTC)
    stale = rules.expected_next(at_days(*range(1007, 1140, 7)), NOW, UTC)
    assert fresh is not None
    assert stale is not None
    assert stale.confidence < fresh.confidence / 100


def test_who_always_writes_first_weighs_the_balance() -> None:
    mine = [Contacted(NOW, "email", "outbound")] * 3
    assert rules.directions(mine).balance == 1
    assert rules.directions([*mine, Contacted(NOW, "email", "inbound")]).balance == 0.5
    assert rules.directions(at_days(1)).balance is None


@given(HISTORIES)
def test_counts_add_up(told: list[Contacted]) -> None:
    found = rules.frequency(told, NOW, UTC)
    assert found.last_30_days <= found.last_90_days <= found.last_365_days <= found.interactions
    assert found.days <= found.interactions == len(told)
    shares = rules.channels(told)
    assert sum(item.interactions for item in shares) == len(told)
    assert sum(item.share for item in shares) == pytest.approx(1 if told else 0)
    mix = rules.directions(told)
    assert mix.inbound + mix.outbound + mix.mutual == len(told)
    time = rules.usual_time(told, UTC)
    assert sum(time.by_weekday) == found.days <= sum(time.by_hour) <= len(told)


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_in_which_it_is_told_does_not_matter(
    told: list[Contacted], random: Random
) -> None:
    shuffled = random.sample(told, len(told))
    assert rules.frequency(shuffled, NOW, UTC) == rules.frequency(told, NOW, UTC)
    assert rules.channels(shuffled) == rules.channels(told)
    assert rules.expected_next(shuffled, NOW, UTC) == rules.expected_next(told, NOW, UTC)


@given(RHYTHMS, st.integers(0, 400))
def test_what_is_expected_lies_in_its_interval_and_moves_with_the_history(
    days_ago: list[int], days: int
) -> None:
    told = at_days(*days_ago)
    found = rules.expected_next(told, NOW, UTC)
    assert found is not None
    last = max(item.occurred_at for item in told).date()
    assert last < found.earliest_on <= found.expected_on <= found.latest_on
    assert 0 < found.confidence < 1
    later = [
        Contacted(item.occurred_at + timedelta(days=days), item.kind, item.direction)
        for item in told
    ]
    moved = rules.expected_next(later, NOW + timedelta(days=days), UTC)
    assert moved is not None
    assert moved.expected_on - found.expected_on == timedelta(days=days)
    assert moved.is_overdue == found.is_overdue


@given(RHYTHMS)
def test_who_is_overdue_stays_so_until_the_next_time(days_ago: list[int]) -> None:
    told = at_days(*days_ago)
    overdue = [
        found.is_overdue
        for days in range(0, 1000, 50)
        if (found := rules.expected_next(told, NOW + timedelta(days=days), UTC))
    ]
    assert overdue == sorted(overdue)
    assert overdue[-1]


def test_nothing_follows_from_nothing() -> None:
    assert rules.expected_next([], NOW, UTC) is None
    assert rules.channels([]) == []
    assert rules.frequency([], NOW, UTC).trend is None
