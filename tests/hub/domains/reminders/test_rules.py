"""Nine o'clock stays nine o'clock, also when clocks go forward and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.errors import DomainError
from hub.domains.reminders import rules

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.req("REL-08")
def test_the_hour_on_the_wall_stays_when_summer_time_begins() -> None:
    first = local("2027-03-27T09:00")
    assert rules.first_due(first, "FREQ=DAILY", BERLIN) == utc("2027-03-27T08:00")
    following = rules.following(first, "FREQ=DAILY", BERLIN, utc("2027-03-27T08:00"))
    assert following == utc("2027-03-28T07:00")


def test_a_time_that_clocks_skip_is_as_much_later_and_no_day_is_lost() -> None:
    first = local("2027-03-27T02:30")
    skipped = rules.following(first, "FREQ=DAILY", BERLIN, utc("2027-03-27T01:30"))
    assert skipped is not None
    assert skipped == utc("2027-03-28T01:30")  # 03:30 on the wall
    assert rules.following(first, "FREQ=DAILY", BERLIN, skipped) == utc("2027-03-29T00:30")


def test_a_time_that_comes_twice_counts_the_first_time_and_once() -> None:
    first = local("2026-10-31T01:30")
    twice = rules.following(first, "FREQ=DAILY", NEW_YORK, utc("2026-10-31T05:30"))
    assert twice is not None
    assert twice == utc("2026-11-01T05:30")  # of 05:30 and 06:30
    assert rules.following(first, "FREQ=DAILY", NEW_YORK, twice) == utc("2026-11-02T06:30")
    # Asked between both, in the second hour.
    between = utc("2026-11-01T06:10")
    assert rules.following(first, "FREQ=DAILY", NEW_YORK, between) == utc("2026-11-02T06:30")


def test_a_rule_that_is_over_has_nothing_more() -> None:
    first = local("2026-11-21T09:00")
    rule = "FREQ=WEEKLY;COUNT=2"
    second = rules.following(first, rule, BERLIN, utc("2026-11-21T08:00"))
    assert second is not None
    assert second == utc("2026-11-28T08:00")
    assert rules.following(first, rule, BERLIN, second) is None
    assert rules.following(first, None, BERLIN, second) is None


def test_the_first_day_is_one_that_the_rule_names() -> None:
    saturday = local("2026-11-21T09:00")
    due = rules.first_due(saturday, "FREQ=WEEKLY;BYDAY=MO", BERLIN)
    assert due == utc("2026-11-23T08:00")
    with pytest.raises(DomainError) as refusal:
        rules.first_due(saturday, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", BERLIN)
    assert refusal.value.code == "reminder.recurrence_invalid"


@pytest.mark.parametrize("text", ["2026-02-30T09:00", "2026-11-21T24:30", "1999-01-01T09:00"])
def test_impossible_times_are_refused(text: str) -> None:
    with pytest.raises(DomainError) as refusal:
        rules.parse_local(text, utc("2026-11-21T12:00"))
    assert refusal.value.code == "reminder.time_invalid"
