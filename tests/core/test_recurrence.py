"""Rules of recurrence mean what RFC 5545 says, and cost no more than ten years of days."""

from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrule, rruleset, rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from core import recurrence

FIRST = datetime(2026, 11, 21, 9, 0)  # noqa: DTZ001  # a clock on the wall
DAYS = st.lists(st.sampled_from(recurrence.WEEKDAYS).map(str), min_size=1, max_size=3, unique=True)
MONTH_DAYS = st.lists(
    st.integers(-31, 31).filter(bool).map(str), min_size=1, max_size=3, unique=True
)
MONTHS = st.lists(st.integers(1, 12).map(str), min_size=1, max_size=3, unique=True)
PLACED_DAYS = st.tuples(st.integers(-5, 5).filter(bool), st.sampled_from(recurrence.WEEKDAYS)).map(
    lambda placed: [f"{placed[0]}{placed[1]}"]
)


def times(rule: str, count: int, first: datetime = FIRST) -> list[datetime]:
    """Return the first times of a rule."""
    parsed = recurrence.parse(rule, first)
    found: list[datetime] = []
    at: datetime | None = first - timedelta(seconds=1)
    while at is not None and len(found) < count:
        at = recurrence.next_time(parsed, first, at)
        if at is not None:
            found.append(at)
    return found


def test_a_rule_without_parts_repeats_its_first_day() -> None:
    assert [f"{at:%d.%m.%y}" for at in times("FREQ=DAILY;INTERVAL=10", 3)] == [
        "21.11.26",
        "01.12.26",
        "11.12.26",
    ]
    assert [at.day for at in times("FREQ=MONTHLY", 3)] == [21, 21, 21]
    assert [at.year for at in times("FREQ=YEARLY", 3)] == [2026, 2027, 2028]


def test_the_31st_is_left_out_where_a_month_has_none() -> None:
    first = datetime(2027, 1, 31, 8)  # noqa: DTZ001  # a clock on the wall
    assert [at.month for at in times("FREQ=MONTHLY", 4, first)] == [1, 3, 5, 7]
    assert [at.day for at in times("FREQ=MONTHLY;BYMONTHDAY=-1", 3, first)] == [31, 28, 31]


def test_count_and_until_end_a_rule() -> None:
    assert len(times("FREQ=DAILY;COUNT=3", 9)) == 3
    assert len(times("FREQ=DAILY;UNTIL=20261123", 9)) == 3
    assert len(times("FREQ=DAILY;UNTIL=20261123T085959", 9)) == 2


def test_the_times_between_two_are_those_that_follow_one_another() -> None:
    since, until = FIRST + timedelta(days=5), FIRST + timedelta(days=40)
    for rule in ("FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,SA", "FREQ=DAILY;COUNT=9"):
        parsed = recurrence.parse(rule, FIRST)
        expected = [at for at in times(rule, 50) if since <= at <= until]
        assert list(recurrence.times_between(parsed, FIRST, since, until)) == expected != []


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_rule_names_the_days_that_another_implementation_names(data: st.DataObject) -> None:
    frequency = data.draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={data.draw(st.integers(1, 4))}"]
    asked: dict[str, list[str]] = {}
    if data.draw(st.booleans()):
        asked["BYMONTH"] = data.draw(MONTHS)
    if frequency != "WEEKLY" and data.draw(st.booleans()):
        asked["BYMONTHDAY"] = data.draw(MONTH_DAYS)
    if data.draw(st.booleans()):
        may_be_placed = frequency in {"MONTHLY", "YEARLY"} and "BYMONTHDAY" not in asked
        asked["BYDAY"] = data.draw(DAYS | PLACED_DAYS if may_be_placed else DAYS)
    if frequency == "WEEKLY":
        parts.append(f"WKST={data.draw(st.sampled_from(recurrence.WEEKDAYS))}")
    if asked and data.draw(st.booleans()):
        asked["BYSETPOS"] = data.draw(st.sampled_from([["1"], ["-1"], ["2", "-1"]]))
    parts += [f"{name}={','.join(values)}" for name, values in asked.items()]
    first = FIRST + timedelta(days=data.draw(st.integers(0, 800)))
    rule = ";".join(parts)
    # The other one would look on until the year 9999.
    until = first + timedelta(days=1200)
    ours = [at for at in times(rule, 12, first) if at <= until]
    theirs = others(rule, first, until)
    assert ours == list(islice((at for at in theirs if at >= first), 12)), rule


def others(rule: str, first: datetime, until: datetime) -> rrule | rruleset:
    """Return what dateutil reads, from the beginning of the first week on.

    Of a week that has begun it lets BYSETPOS choose among the days that are left, but "a set of
    recurrence instances starts at the beginning of the interval" (RFC 5545, 3.3.10).
    """
    parsed = recurrence.parse(rule, first)
    if parsed.frequency == "WEEKLY":
        if "BYDAY" not in rule:
            rule += f";BYDAY={recurrence.WEEKDAYS[first.weekday()]}"
        first -= timedelta(days=(first.weekday() - parsed.week_start) % 7)
    return rrulestr(f"{rule};UNTIL={until:%Y%m%dT%H%M%S}", dtstart=first)


def test_a_place_in_a_week_is_counted_from_its_beginning() -> None:
    # FIRST is a Saturday: the first one of that week's Monday and Tuesday is past.
    assert [at.day for at in times("FREQ=WEEKLY;WKST=TU;BYDAY=MO,TU;BYSETPOS=1", 2)] == [24, 1]
    assert [at.day for at in times("FREQ=WEEKLY;WKST=TU;BYDAY=MO,TU;BYSETPOS=-1", 2)] == [23, 30]


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=SECONDLY",
        "FREQ=HOURLY;INTERVAL=1",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=9999999999",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=DAILY;COUNT=2;UNTIL=20271231",
        "FREQ=DAILY;UNTIL=20270231",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;BYDAY=2MO",
        "FREQ=WEEKLY;BYMONTHDAY=3",
        "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=3",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=YEARLY;BYEASTER=1",
        "INTERVAL=2",
        "DTSTART:20260101T000000\nRRULE:FREQ=DAILY",
    ],
)
def test_what_is_no_rule_by_days_is_refused(rule: str) -> None:
    with pytest.raises(recurrence.RuleError):
        recurrence.parse(rule, FIRST)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=366",
    ],
)
def test_a_rule_that_names_no_day_ends_the_search_after_ten_years(rule: str) -> None:
    assert times(rule, 1) == []


def test_a_rule_is_written_in_one_way() -> None:
    assert recurrence.normal_form("rrule:freq=weekly;byday=mo,we") == "FREQ=WEEKLY;BYDAY=MO,WE"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("FREQ=DAILY;UNTIL=20270101T000000Z;INTERVAL=2", "UNTIL=20270101T010000;INTERVAL=2"),
        ("freq=daily;until=20270701T235959z", "until=20270702T015959"),
        ("FREQ=DAILY;UNTIL=20270101", "UNTIL=20270101"),
        ("FREQ=DAILY;UNTIL=20270132T000000Z", "UNTIL=20270132T000000Z"),  # refused when it is read
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "UNTIL=99991231T235959Z"),
    ],
)
def test_an_end_in_utc_is_what_clocks_show_then(written: str, kept: str) -> None:
    assert recurrence.with_local_end(written, ZoneInfo("Europe/Berlin")) == f"{written[:11]}{kept}"
