"""The formula keeps what it promises, whatever the past."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from hub.domains.relationships import rules
from hub.domains.relationships.schemas import Band, Past, Snapshot, Values
from tests.hub.domains.relationships.faded import NOW, WEIGHTS, Met, past_of

DAYS = st.floats(0, 4000)
MORE = st.floats(0, 400)
PACE = st.floats(0.1, 2000)
SUMS = st.floats(0, 500)
CLOSE = 1e-9
FEW = settings(max_examples=40)
METS = st.lists(
    st.builds(
        Met,
        st.floats(0.01, 2000),
        st.sampled_from(["inbound", "outbound", "mutual"]),
        st.integers(0, 20_000),
    ),
    max_size=8,
)


def score_of(past: Past, now: datetime) -> float:
    return rules.assess(past, now).score


@pytest.mark.req("REL-05")
@FEW
@given(METS, st.floats(1, 1000), st.floats(0.1, 10))
def test_a_score_is_within_its_bounds(met: list[Met], cadence: float, decay: float) -> None:
    found = rules.assess(past_of(met, cadence_days=cadence, decay_rate=decay), NOW)
    assert 0 <= found.score <= 100
    assert 0 <= found.strength < 1
    assert all(0 <= value <= 1 for value in astuple(found.components.values))


@given(DAYS, MORE, PACE, MORE)
def test_recency_falls_with_time_and_rises_with_the_pace(
    days: float, more: float, pace: float, slower: float
) -> None:
    assert rules.recency(days + more, pace) <= rules.recency(days, pace)
    assert rules.recency(days, pace + slower) >= rules.recency(days, pace) - CLOSE


@given(SUMS, MORE, DAYS, MORE, PACE)
def test_frequency_rises_with_contact_and_falls_with_what_could_have_been(
    faded: float, more: float, age: float, older: float, pace: float
) -> None:
    assert rules.frequency(faded + more, age, pace) >= rules.frequency(faded, age, pace)
    assert rules.frequency(faded, age + older, pace) <= rules.frequency(faded, age, pace) + CLOSE
    assert rules.frequency(faded, age, pace + more) >= rules.frequency(faded, age, pace) - CLOSE


@given(SUMS, SUMS, st.floats(0, 5), MORE)
def test_reciprocity_rises_with_the_lesser_side_and_with_contact(
    one: float, other: float, faded: float, more: float
) -> None:
    lesser, greater = sorted((one, other))
    evener = min(greater, lesser + more)
    before = rules.reciprocity(lesser, greater, faded)
    assert rules.reciprocity(evener, greater, faded) >= before
    assert rules.reciprocity(greater, lesser, faded) == before
    assert rules.reciprocity(lesser, greater, faded + more) >= before


@given(SUMS, MORE)
def test_duration_rises_with_time_together(minutes: float, more: float) -> None:
    assert rules.duration(minutes + more) >= rules.duration(minutes)


@given(SUMS, MORE, SUMS, MORE)
def test_strength_rises_with_days_and_time(
    days: float, more: float, minutes: float, longer: float
) -> None:
    before = rules.strength(days, minutes)
    assert rules.strength(days + more, minutes) >= before
    assert rules.strength(days, minutes + longer) >= before
    assert 0 <= before < 1


@pytest.mark.req("REL-09")
@FEW
@given(METS, st.floats(1, 400), st.floats(0.1, 10), st.floats(0, 3000))
def test_time_without_contact_never_raises_anything(
    met: list[Met], cadence: float, decay: float, days: float
) -> None:
    later = NOW + timedelta(days=days)
    before = past_of(met, cadence_days=cadence, decay_rate=decay)
    after = past_of(met, cadence_days=cadence, decay_rate=decay, now=later)
    pairs = zip(astuple(rules.parts(after, later)), astuple(rules.parts(before, NOW)), strict=True)
    assert all(then <= now + CLOSE for then, now in pairs)
    assert rules.strength(after.lasting_days, after.lasting_minutes) <= (
        rules.strength(before.lasting_days, before.lasting_minutes)
    )


@pytest.mark.req("REL-09")
@FEW
@given(METS, st.floats(1, 400), st.floats(0.1, 5), st.floats(0, 5))
def test_what_fades_faster_or_is_wanted_more_often_scores_no_higher(
    met: list[Met], cadence: float, decay: float, faster: float
) -> None:
    base = rules.parts(past_of(met, cadence_days=cadence, decay_rate=decay), NOW)
    faded = rules.parts(past_of(met, cadence_days=cadence, decay_rate=decay + faster), NOW)
    oftener = rules.parts(past_of(met, cadence_days=cadence / (1 + faster), decay_rate=decay), NOW)
    # The balance of both sides is not among them: which days count most decides who begins more.
    for name in ("recency", "frequency", "duration"):
        assert getattr(faded, name) <= getattr(base, name) + CLOSE
        assert getattr(oftener, name) <= getattr(base, name) + CLOSE


@pytest.mark.req("REL-09")
@FEW
@given(METS, st.floats(1, 400), st.floats(0.1, 10))
def test_what_fades_twice_as_fast_scores_as_if_it_were_wanted_twice_as_often(
    met: list[Met], cadence: float, decay: float
) -> None:
    faded = past_of(met, cadence_days=cadence, decay_rate=decay)
    oftener = past_of(met, cadence_days=cadence / decay)
    assert astuple(rules.parts(faded, NOW)) == pytest.approx(astuple(rules.parts(oftener, NOW)))
    due = rules.assess(faded, NOW).next_touch_at - (faded.last_touch_at or faded.since)
    assert due == timedelta(days=cadence), "but it is wanted as often as its circle says"


def test_who_has_just_been_met_is_asked_for_one_day_and_no_part_of_one() -> None:
    assert rules.frequency(0.5, 0, 14) == rules.frequency(0.5, 14, 14)
    assert rules.frequency(0.5, 15, 14) < rules.frequency(0.5, 14, 14)


def test_a_clock_that_is_ahead_makes_nothing_younger_than_now() -> None:
    assert rules.days_between(NOW, NOW - timedelta(days=9)) == 0


@pytest.mark.req("REL-09")
@FEW
@given(METS, st.floats(0, 1), st.integers(0, 20_000), st.floats(1, 400), st.floats(0.1, 10))
def test_another_day_together_never_lowers_anything(
    met: list[Met], when: float, seconds: int, cadence: float, decay: float
) -> None:
    # Within the time that is known: an older first day would show what else could have been.
    day = Met(when * max((item.days_ago for item in met), default=1.0), seconds=seconds)
    assume(day.at.date() not in {item.at.date() for item in met})
    pasts = [
        past_of(known, cadence_days=cadence, decay_rate=decay, since=NOW - timedelta(days=1))
        for known in (met, [*met, day])
    ]
    before, after = (rules.parts(past, NOW) for past in pasts)
    assert all(
        now >= then - CLOSE for now, then in zip(astuple(after), astuple(before), strict=True)
    )
    strengths = [rules.strength(past.lasting_days, past.lasting_minutes) for past in pasts]
    assert strengths[1] >= strengths[0]


@FEW
@given(METS, st.floats(1, 400), st.floats(0.1, 10), st.floats(0, 800))
def test_a_moment_changes_a_score_by_next_to_nothing(
    met: list[Met], cadence: float, decay: float, days: float
) -> None:
    moments = (NOW + timedelta(days=days), NOW + timedelta(days=days, milliseconds=1))
    pasts = [past_of(met, cadence_days=cadence, decay_rate=decay, now=now) for now in moments]
    scores = [rules.assess(past, now).score for past, now in zip(pasts, moments, strict=True)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


def test_who_is_silent_for_ever_ends_at_nothing() -> None:
    for decay in (0.1, 1, 10):
        met = [Met(day, seconds=3600) for day in range(100)]
        later = NOW + timedelta(days=20_000)
        assert score_of(past_of(met, decay_rate=decay, now=later), later) == pytest.approx(
            0, abs=0.1
        )


def test_whoever_keeps_the_pace_thrives_and_is_not_punished_before_the_next_contact() -> None:
    met = [Met(14.0 * n, seconds=3600) for n in range(1, 30)]
    found = rules.assess(past_of(met), NOW)
    assert found.band == "thriving"
    assert found.components.values.recency == pytest.approx(2**-0.25, abs=1e-4)
    assert found.components.values.frequency > 0.95
    assert found.next_touch_at == NOW


def test_the_worked_example_of_the_guide() -> None:
    # docs/people.md, "How a score comes about".
    met = [Met(10, "mutual", 5400), Met(24, "outbound"), Met(38, "inbound"), Met(70, "outbound")]
    found = rules.assess(past_of(met, cadence_days=14), NOW)
    values = found.components.values
    assert values == Values(recency=0.9154, frequency=0.8723, reciprocity=0.7369, duration=0.57)
    assert found.score == pytest.approx(83.2, abs=0.05)
    assert found.band == "thriving"


@pytest.mark.req("REL-07")
def test_bands_do_not_flutter() -> None:
    assert rules.band_of(70, None) == "thriving"
    assert rules.band_of(69.9, None) == "stable"
    assert rules.band_of(66.1, "thriving") == "thriving"
    assert rules.band_of(65.9, "thriving") == "stable"
    assert rules.band_of(69.9, "stable") == "stable"
    assert rules.band_of(70, "stable") == "thriving"
    assert rules.band_of(5, "thriving") == "cold"


@given(st.floats(0, 100), st.sampled_from([band for band, _ in rules.BANDS]))
def test_a_band_stays_where_it_was_put(points: float, before: Band) -> None:
    band = rules.band_of(points, before)
    assert rules.band_of(points, band) == band


@given(
    st.floats(0, 100 - rules.HYSTERESIS_POINTS),
    st.lists(st.floats(0, rules.HYSTERESIS_POINTS, exclude_max=True), min_size=2, max_size=20),
    st.sampled_from([None, *(band for band, _ in rules.BANDS)]),
)
def test_a_score_that_sways_by_less_than_the_hysteresis_returns_to_no_band_that_it_left(
    lowest: float, above: list[float], before: Band | None
) -> None:
    bands: list[Band] = []
    for points in above:
        before = rules.band_of(lowest + points, before)
        if bands[-1:] != [before]:
            bands.append(before)
    assert len(set(bands)) == len(bands)


def test_a_trend_is_measured_by_the_last_weeks() -> None:
    baseline = rules.baseline_of(50, None, 0)
    assert rules.trend_of(50, baseline) == "steady"
    assert rules.trend_of(53, baseline) == "rising"
    assert rules.trend_of(47, baseline) == "falling"
    for _ in range(60):
        baseline = rules.baseline_of(47, baseline, 1)
    assert rules.trend_of(47, baseline) == "steady"


def test_only_changes_that_matter_are_told() -> None:
    past = past_of([Met(3)])
    first = rules.assess(past, NOW)
    known = replace(
        past,
        band=first.band,
        band_since=NOW,
        baseline=first.baseline,
        told_score=first.score + 4.9,
        computed_at=NOW,
    )
    assert rules.assess(known, NOW).told_score == first.score + 4.9
    far = rules.assess(replace(known, told_score=first.score + 5), NOW)
    assert far.told_score == first.score
    fallen = rules.assess(replace(known, band="thriving" if first.score < 60 else "cold"), NOW)
    assert fallen.told_score == first.score


def test_when_a_relationship_fell_is_remembered_until_it_rises() -> None:
    past = replace(past_of([Met(200)]), band="stable", band_since=NOW, baseline=50, told_score=50)
    fallen = rules.assess(past, NOW)
    assert (fallen.band, fallen.fell_at) == ("cold", NOW)
    later = replace(past, band="cold", fell_at=fallen.fell_at)
    assert rules.assess(later, NOW).fell_at == NOW
    risen = rules.assess(replace(past_of([Met(0.1)]), band="cold", fell_at=NOW), NOW)
    assert risen.fell_at is None


def test_parts_are_explained_and_add_up() -> None:
    found = rules.assess(past_of([Met(10, "inbound", 1800), Met(30, "outbound")]), NOW)
    parts = rules.explain(found.components, NOW - timedelta(days=10), NOW)
    assert [part.name for part in parts] == ["recency", "frequency", "reciprocity", "duration"]
    assert sum(part.points for part in parts) == pytest.approx(found.score, abs=0.3)
    assert [part.weight for part in parts] == list(astuple(WEIGHTS))
    assert parts[0].explanation == "The last contact was 10 days ago; it is wanted every 14 days."
    assert "on 1 day, from you on 1." in parts[2].explanation
    for ago, words in ((0.9, "within the last day"), (1.9, "1 day ago"), (2, "2 days ago")):
        recent = rules.explain(found.components, NOW - timedelta(days=ago), NOW)
        assert recent[0].explanation.startswith(f"The last contact was {words};")
    nothing = rules.explain(found.components, None, NOW)
    assert nothing[0].explanation.startswith("No contact is known yet")


def test_a_day_begins_at_three_in_the_morning() -> None:
    assert rules.health_day(datetime(2026, 11, 21, 2, 59, tzinfo=UTC)).day == 20
    assert rules.health_day(datetime(2026, 11, 21, 3, tzinfo=UTC)).day == 21


FIRST = date(2026, 1, 1)
SNAPSHOTS = st.dictionaries(st.integers(-40, 400), st.integers(0, 100), max_size=30).map(
    lambda days: [Snapshot(FIRST + timedelta(days=n), days[n]) for n in sorted(days)]
)


@FEW
@given(SNAPSHOTS, st.integers(0, 400), st.integers(1, 40))
def test_a_series_says_of_each_step_what_its_days_were(
    days: list[Snapshot], length: int, points_max: int
) -> None:
    until = FIRST + timedelta(days=length)
    held: dict[date, int] = {}
    for n in range(-40, length + 1):
        day = FIRST + timedelta(days=n)
        known = [snapshot.score for snapshot in days if snapshot.taken_on <= day]
        if known and day >= FIRST:
            held[day] = known[-1]
    step_days, points = rules.series(days, FIRST, until, points_max)
    assert len(points) <= points_max
    assert bool(points) == bool(held)
    left = list(held.items())
    for point in points:
        step, left = left[:step_days], left[step_days:]
        scores = [score for _, score in step]
        assert point.taken_on == step[-1][0]
        assert (point.score, point.low, point.high) == (scores[-1], min(scores), max(scores))
    assert not left, "up to the last day"
