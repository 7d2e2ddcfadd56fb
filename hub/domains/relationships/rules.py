"""The health of a relationship. Pure: docs/people.md explains the formula with an example.

More contact, more of it from both sides, longer, wanted less often or fading slower: none of these
lowers a part of the score; time without contact never raises one, and all of them go to nothing.
"""

import math
from collections import deque
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from hub.domains.relationships.schemas import (
    Assessment,
    Band,
    Component,
    Components,
    Past,
    SeriesPoint,
    Snapshot,
    Trend,
    Values,
)

HALF_LIFE_PACES: Final = 4.0
LASTING_HALF_LIFE_DAYS: Final = 365.0
MINUTES_FOR_HALF: Final = 60.0
LASTING_DAYS_FOR_HALF: Final = 12.0
LASTING_MINUTES_FOR_HALF: Final = 600.0
_STRENGTH_OF_DAYS: Final = 0.8

BANDS: Final[tuple[tuple[Band, float], ...]] = (
    ("thriving", 70.0),
    ("stable", 45.0),
    ("cooling", 20.0),
    ("cold", -math.inf),
)
"""From which score on."""
HYSTERESIS_POINTS: Final = 4.0
"""A relationship falls into a lower band only so far below its own."""
TOLD_POINTS: Final = 5.0
"""A change of so many is told, though the band stays."""
TREND_POINTS: Final = 3.0
BASELINE_HALF_LIFE_DAYS: Final = 14.0
DAY_BEGINS_HOUR: Final = 3
"""Of UTC: when the daily pass begins."""
NIGHT_HOURS_MAX: Final = 3
"""A daily pass that takes longer is behind."""

_DAY_SECONDS: Final = 86400.0
_NO_TIME: Final = "No time spent together is known yet."
_ORDER: Final = [band for band, _ in BANDS]


def recency(days_since: float, pace_days: float) -> float:
    """Return 1 at a contact, 0.84 when the next one is due, a half at twice that."""
    return 2.0 ** -min((days_since / pace_days / 2) ** 2, 1000.0)


def frequency(contact_days: float, age_days: float, pace_days: float) -> float:
    """Return which part of the days with contact was there that its pace would have made by now.

    `contact_days` is faded. A relationship that is younger than one pace is asked for one day.
    """
    paces = max(1.0, age_days / pace_days)
    kept = 2.0 ** (-1 / HALF_LIFE_PACES)
    expected = kept * (1 - kept**paces) / (1 - kept)
    return min(1.0, contact_days / expected)


def reciprocity(inbound: float, outbound: float, contact_days: float) -> float:
    """Return how much of the contact comes from whoever begins it less often; faded days."""
    most = max(inbound, outbound)
    balance = min(inbound, outbound) / most if most > 0 else 0.0
    return balance * min(1.0, contact_days)


def duration(minutes: float) -> float:
    """Return a half for an hour spent together, more for more; faded minutes."""
    return minutes / (minutes + MINUTES_FOR_HALF)


def parts(past: Past, now: datetime) -> Values:
    """Return the parts of a score, each 0 to 1."""
    pace_days = past.cadence_days / past.decay_rate
    return Values(
        recency=recency(days_between(past.last_touch_at or past.since, now), pace_days),
        frequency=frequency(past.contact_days, days_between(past.since, now), pace_days),
        reciprocity=reciprocity(past.inbound, past.outbound, past.contact_days),
        duration=duration(past.minutes),
    )


def score(values: Values, weights: Values) -> float:
    """Return 0 to 100: the parts, weighted. Weights share out 1."""
    total = (
        values.recency * weights.recency
        + values.frequency * weights.frequency
        + values.reciprocity * weights.reciprocity
        + values.duration * weights.duration
    )
    return min(100.0, max(0.0, 100 * total))


def strength(lasting_days: float, lasting_minutes: float) -> float:
    """Return how close two people are, 0 to 1: what a year leaves half of."""
    of_days = lasting_days / (lasting_days + LASTING_DAYS_FOR_HALF)
    of_time = lasting_minutes / (lasting_minutes + LASTING_MINUTES_FOR_HALF)
    return _STRENGTH_OF_DAYS * of_days + (1 - _STRENGTH_OF_DAYS) * of_time


def band_of(points: float, before: Band | None) -> Band:
    """Return the band of a score; one below is entered late, so that nothing flutters."""
    plain = _plain_band(points)
    if before is None or _ORDER.index(plain) <= _ORDER.index(before):
        return plain
    kept = _plain_band(points + HYSTERESIS_POINTS)
    return max(before, kept, key=_ORDER.index)


def baseline_of(points: float, before: float | None, days: float) -> float:
    """Return the score of the last weeks: what is `days` newer counts by a half in two weeks."""
    if before is None:
        return points
    return points + (before - points) * 2.0 ** (-max(days, 0.0) / BASELINE_HALF_LIFE_DAYS)


def trend_of(points: float, baseline: float) -> Trend:
    """Return where a score goes, against what it was lately."""
    if points >= baseline + TREND_POINTS:
        return "rising"
    return "falling" if points <= baseline - TREND_POINTS else "steady"


def assess(past: Past, now: datetime) -> Assessment:
    """Return the health of a relationship at a moment, given what it was before."""
    values = parts(past, now)
    weights = Values(
        recency=past.recency_weight,
        frequency=past.frequency_weight,
        reciprocity=past.reciprocity_weight,
        duration=past.duration_weight,
    )
    points = score(values, weights)
    band = band_of(points, past.band)
    days = 0.0 if past.computed_at is None else days_between(past.computed_at, now)
    baseline = baseline_of(points, past.baseline, days)
    has_moved = past.band is not None and band != past.band
    is_told = past.told_score is None or has_moved or abs(points - past.told_score) >= TOLD_POINTS
    return Assessment(
        score=points,
        strength=strength(past.lasting_days, past.lasting_minutes),
        band=band,
        trend=trend_of(points, baseline),
        components=Components(
            values=_rounded(values),
            weights=_rounded(weights),
            cadence_days=past.cadence_days,
            decay_rate=past.decay_rate,
            contact_days=past.all_days,
            inbound_days=past.all_inbound_days,
            outbound_days=past.all_outbound_days,
            hours=round(past.all_hours, 1),
        ),
        next_touch_at=(past.last_touch_at or past.since) + timedelta(days=past.cadence_days),
        band_since=now if has_moved or past.band_since is None else past.band_since,
        fell_at=_fell_at(past, band, now),
        baseline=baseline,
        told_score=points if is_told or past.told_score is None else past.told_score,
        day_score=round(points),
    )


def explain(
    components: Components, last_touch_at: datetime | None, now: datetime
) -> list[Component]:
    """Return the parts of a score in words; `now` is when it was computed."""
    said = _explanations(components, last_touch_at, now)
    pairs = zip(_fields(components.values), _fields(components.weights), said, strict=True)
    return [
        Component(
            name=name,
            value=value,
            weight=weight,
            points=round(100 * value * weight, 1),
            explanation=explanation,
        )
        for name, (value, weight, explanation) in zip(
            ("recency", "frequency", "reciprocity", "duration"), pairs, strict=True
        )
    ]


def series(
    days: Sequence[Snapshot], since: date, until: date, points_max: int
) -> tuple[int, list[SeriesPoint]]:
    """Return the days of a step and one point for each step up to `until`, at most `points_max`.

    `days` are in order, and may begin before `since`: each score holds until the next one. The
    last step may be shorter.
    """
    if not days or until < max(since, days[0].taken_on):
        return 1, []
    begins = max(since, days[0].taken_on)
    step_days = math.ceil(((until - begins).days + 1) / points_max)
    points: list[SeriesPoint] = []
    left = deque(days)
    held = days[0].score
    while begins <= until:
        ends = min(until, begins + timedelta(days=step_days - 1))
        while left and left[0].taken_on <= begins:
            held = left.popleft().score
        seen = [held]
        while left and left[0].taken_on <= ends:
            held = left.popleft().score
            seen.append(held)
        points.append(SeriesPoint(ends, held, min(seen), max(seen)))
        begins = ends + timedelta(days=1)
    return step_days, points


def health_day(now: datetime) -> date:
    """Return the day that the daily pass works on; it begins at three in the morning, UTC."""
    return (now - timedelta(hours=DAY_BEGINS_HOUR)).date()


def night_begins(day: date) -> datetime:
    """Return when the daily pass of a day begins."""
    return datetime.combine(day, time(DAY_BEGINS_HOUR), UTC)


def night_over(now: datetime) -> date:
    """Return the last day whose daily pass should have ended."""
    return health_day(now - timedelta(hours=NIGHT_HOURS_MAX))


def days_between(earlier: datetime, later: datetime) -> float:
    """Return days, not below 0: clocks of imports may be ahead."""
    return max(0.0, (later - earlier).total_seconds() / _DAY_SECONDS)


def _plain_band(points: float) -> Band:
    return next(band for band, from_points in BANDS if points >= from_points)


def _fell_at(past: Past, band: Band, now: datetime) -> datetime | None:
    if past.band is None or band == past.band:
        return past.fell_at
    return now if _ORDER.index(band) > _ORDER.index(past.band) else None


def _rounded(values: Values) -> Values:
    recency, frequency, reciprocity, duration = (round(value, 4) for value in _fields(values))
    return Values(recency=recency, frequency=frequency, reciprocity=reciprocity, duration=duration)


def _fields(values: Values) -> Sequence[float]:
    return (values.recency, values.frequency, values.reciprocity, values.duration)


def _explanations(
    components: Components, last_touch_at: datetime | None, now: datetime
) -> Sequence[str]:
    wanted = "day" if components.cadence_days == 1 else f"{components.cadence_days:g} days"
    if last_touch_at is None:
        return (
            f"No contact is known yet; it is wanted every {wanted}.",
            "No contact is known yet.",
            "No contact is known yet.",
            _NO_TIME,
        )
    days = int(days_between(last_touch_at, now))
    ago = f"{_told(days, 'day')} ago" if days else "within the last day"
    pace = (
        "" if components.decay_rate == 1 else f", and fades {components.decay_rate:g} times as fast"
    )
    inbound, outbound = components.inbound_days, components.outbound_days
    return (
        f"The last contact was {ago}; it is wanted every {wanted}{pace}.",
        f"There was contact on {_told(components.contact_days, 'day')}; recent ones count more.",
        f"It came from them on {_told(inbound, 'day')}, from you on {outbound}.",
        f"{_told(components.hours, 'hour')} together; recent ones count more."
        if components.hours
        else _NO_TIME,
    )


def _told(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
