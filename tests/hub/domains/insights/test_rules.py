"""What is worth telling: pure rules, the same each time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from core.ids import new_id
from hub.domains.insights import rules
from hub.domains.insights.schemas import (
    ActiveGoal,
    Meeting,
    Named,
    Profile,
    Rhythm,
    SharedInterest,
    Way,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def goal(
    intention: str,
    *,
    contact_id: UUID | None = None,
    contact_name: str | None = None,
    strength: float | None = None,
) -> ActiveGoal:
    return ActiveGoal(new_id(), "mentor", intention, contact_id, contact_name, strength)


def rhythm(name: str, *, gap_days: float, silent_days: float) -> Rhythm:
    return Rhythm(new_id(), name, gap_days, NOW - timedelta(days=silent_days), new_id())


@pytest.mark.parametrize(
    ("now", "zone", "week"),
    [
        ("2026-11-23T05:59", "UTC", "2026-11-16"),
        ("2026-11-23T06:00", "UTC", "2026-11-23"),
        ("2026-11-23T05:00", "Europe/Berlin", "2026-11-23"),
        ("2026-11-23T06:00", "America/Los_Angeles", "2026-11-16"),
        ("2026-11-22T17:00", "Pacific/Auckland", "2026-11-23"),
    ],
)
def test_a_week_begins_on_monday_at_six_where_the_user_is(now: str, zone: str, week: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert rules.week_due(at, ZoneInfo(zone)).isoformat() == week


def test_silence_is_told_where_it_is_three_times_as_long_as_usual_and_a_week() -> None:
    found = rules.anomalies(
        [
            rhythm("Ann", gap_days=7, silent_days=20.9),
            rhythm("Bob", gap_days=7, silent_days=21),
            rhythm("Cid", gap_days=1, silent_days=6),
            rhythm("Dan", gap_days=1, silent_days=30),
        ],
        NOW,
    )
    assert [item.title.rpartition(" ")[2] for item in found] == ["Dan", "Bob"]
    assert "every day, and have not been for 30 days" in found[0].content
    assert found[0].evidence_ids


def test_each_silence_is_a_fact_of_its_own() -> None:
    silent = rhythm("Dan", gap_days=1, silent_days=30)
    [one], [same] = rules.anomalies([silent], NOW), rules.anomalies([silent], NOW)
    assert one == same
    later = Rhythm(silent.contact_id, "Dan", 1, NOW, new_id())
    [other] = rules.anomalies([later], NOW + timedelta(days=30))
    assert other.reason != one.reason


@pytest.mark.parametrize(
    ("days_ago", "is_told"),
    [
        ((0, 30, 31, 32, 33), True),
        ((0, 7, 8, 9, 10), True),
        ((0, 6, 7, 8, 9), False),  # less than a week
        ((0, 20, 27, 34, 41), False),  # less than three times as long as usual
        ((0, 30, 31, 32), False),  # no rhythm yet
        ((3, 40, 41, 42, 43), False),  # no news
    ],
)
def test_a_silence_that_ends_is_told_while_it_is_news(
    days_ago: tuple[int, ...], is_told: bool
) -> None:
    meetings = [Meeting(new_id(), NOW - timedelta(days=days)) for days in days_ago]
    ann = Named(new_id(), "Ann")
    found = rules.returns(ann, meetings, NOW)
    assert len(found) == is_told
    if found:
        assert found == rules.returns(ann, meetings, NOW)
        assert f"after {days_ago[1]} days" in found[0].content
        assert found[0].evidence_ids == [meetings[0].id, meetings[1].id]


def test_whoever_does_what_a_goal_is_about_could_help() -> None:
    profiles = [
        Profile(new_id(), "Ann", "Engines", "Compiler engineer", []),
        Profile(new_id(), "Bob", None, None, ["compilers", "Sailing"]),
        Profile(new_id(), "Cid", None, None, ["cooking"]),
        Profile(new_id(), "Dan", None, "Would make that", []),
    ]
    aim = goal("Would like to make a sailing compiler that makes waves")
    found = rules.opportunities([aim], profiles)
    assert [item.contact_ids for item in found] == [[profiles[0].id], [profiles[1].id]]
    assert "compiler" in found[0].content
    own = goal("A compiler", contact_id=profiles[0].id, contact_name="Ann", strength=0.5)
    assert rules.opportunities([own], profiles[:1]) == []


def test_a_topic_of_two_brings_them_together_and_a_third_one_is_news() -> None:
    ids = [new_id(), new_id(), new_id()]
    [two] = rules.common_interests([SharedInterest("Go", ids[:2], ["Ann", "Bob"])])
    [three] = rules.common_interests([SharedInterest("Go", ids, ["Ann", "Bob", "Cid"])])
    assert (two.title, three.title) == (
        "Ann and Bob care about Go",
        "Ann, Bob and Cid care about Go",
    )
    assert two.reason != three.reason
    assert rules.common_interests([SharedInterest("Go", ids[:1], ["Ann"])]) == []


def test_who_leads_to_a_goal_is_told_with_the_number_of_hops() -> None:
    ann, bob = new_id(), new_id()
    aim = goal("Meet Bob", contact_id=bob, contact_name="Bob", strength=0.0)
    [found] = rules.paths([Way(aim, Named(ann, "Ann"), 2), Way(aim, Named(bob, "Bob"), 1)])
    assert (found.title, found.contact_ids) == ("Ann leads to Bob", [ann, bob])


def test_of_each_kind_something_is_told_and_not_more_than_can_be_read() -> None:
    many = rules.anomalies([rhythm(f"P{n}", gap_days=1, silent_days=30) for n in range(30)], NOW)
    few = rules.common_interests([SharedInterest("Go", [new_id(), new_id()], ["Ann", "Bob"])])
    told = rules.chosen(rules.AT_ONCE, {many[0].reason}, many, [], few)
    assert len(told) == rules.AT_ONCE
    assert [item.kind for item in told[:3]] == ["anomaly", "common_interest", "anomaly"]
    assert told[0] == many[1]


def test_long_names_fit_into_a_title() -> None:
    [found] = rules.anomalies([rhythm("x" * 200, gap_days=1, silent_days=30)], NOW)
    assert len(found.title) == 200
