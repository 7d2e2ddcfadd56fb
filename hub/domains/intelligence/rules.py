"""Pure rules of contact intelligence: what times, channels and directions of interactions show.

A day with ten messages is one day of contact: rhythms are those of days, so that a long talk is no
daily habit. `zone` is the user's: their evening is an evening.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from typing import Final

from hub.domains.intelligence.schemas import (
    ChannelShare,
    Contacted,
    DirectionMix,
    ExpectedNext,
    FrequencyAnalysis,
    Trend,
    UsualTime,
)
from hub.domains.interactions.schemas import Direction, InteractionKind

GAPS_MIN: Final = 3
"""Fewer say nothing of a rhythm."""
_GAPS_MAX: Final = 20  # an old rhythm is none
_EARLY, _LATE = 0.2, 0.8
_TREND_DAYS: Final = 90
_TREND_MIN: Final = 4  # of three, one more or less is chance
# A quarter more or less than before.
_TREND_FACTOR: Final = 1.25
_EITHER_MIN: Final = 3  # who wrote once is not the one who always writes
# A habit is what was so on every third day of contact, of at least so many.
_HABIT_SHARE: Final = 1 / 3
_HABIT_DAYS_MIN: Final = 5
_HABIT_MIN: Final = 3


def frequency(told: Sequence[Contacted], now: datetime, zone: tzinfo) -> FrequencyAnalysis:
    """Say how often; `told` are interactions that have been, in any order."""
    times = sorted(item.occurred_at for item in told)
    gaps = _gaps(told, zone)
    return FrequencyAnalysis(
        interactions=len(times),
        first_at=times[0] if times else None,
        last_at=times[-1] if times else None,
        last_30_days=_within(times, now, 30),
        last_90_days=_within(times, now, 90),
        last_365_days=_within(times, now, 365),
        days=len(_days(told, zone)),
        median_gap_days=float(median(gaps)) if gaps else None,
        trend=_trend(times, now),
    )


def channels(told: Sequence[Contacted]) -> list[ChannelShare]:
    """Say over which channels, the most used first."""
    counts: Counter[InteractionKind] = Counter(item.kind for item in told)
    return [
        ChannelShare(
            kind=kind,
            interactions=count,
            share=count / len(told),
            last_at=max(item.occurred_at for item in told if item.kind == kind),
        )
        for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def directions(told: Sequence[Contacted]) -> DirectionMix:
    """Say who turns to whom."""
    counts: Counter[Direction] = Counter(item.direction for item in told)
    inbound, outbound = counts["inbound"], counts["outbound"]
    either = inbound + outbound
    return DirectionMix(
        inbound=inbound,
        outbound=outbound,
        mutual=counts["mutual"],
        balance=(outbound - inbound) / either if either >= _EITHER_MIN else None,
    )


def usual_time(told: Sequence[Contacted], zone: tzinfo) -> UsualTime:
    """Say on which weekday and at which hour, if one stands out."""
    local = [item.occurred_at.astimezone(zone) for item in told]
    days = {at.date() for at in local}
    weekdays = Counter(day.weekday() for day in days)
    hours = Counter(hour for _, hour in {(at.date(), at.hour) for at in local})
    by_weekday, by_hour = [weekdays[day] for day in range(7)], [hours[hour] for hour in range(24)]
    weekday, hour = _habit(by_weekday, len(days)), _habit(by_hour, len(days))
    return UsualTime(
        weekday=None if weekday is None else weekday + 1,
        hour=hour,
        by_weekday=by_weekday,
        by_hour=by_hour,
    )


def expected_next(told: Sequence[Contacted], now: datetime, zone: tzinfo) -> ExpectedNext | None:
    """Say when the next day of contact would be, by the gaps between the latest ones."""
    gaps = sorted(_gaps(told, zone)[-_GAPS_MAX:])
    if len(gaps) < GAPS_MIN:
        return None
    last = max(_days(told, zone))
    early, middle, late = _quantile(gaps, _EARLY), median(gaps), _quantile(gaps, _LATE)
    latest = last + timedelta(days=round(late))
    evenness = 1 / (1 + (late - early) / middle)
    today = now.astimezone(zone).date()
    # A rhythm that ended is one no more.
    freshness = min(1, late / max(1, (today - last).days))
    return ExpectedNext(
        expected_on=last + timedelta(days=round(middle)),
        earliest_on=last + timedelta(days=round(early)),
        latest_on=latest,
        is_overdue=today > latest,
        confidence=freshness * evenness * len(gaps) / (len(gaps) + GAPS_MIN),
        gaps=len(gaps),
    )


def _days(told: Sequence[Contacted], zone: tzinfo) -> list[date]:
    return sorted({item.occurred_at.astimezone(zone).date() for item in told})


def _gaps(told: Sequence[Contacted], zone: tzinfo) -> list[int]:
    """Return the days between days of contact, in their order; each is at least 1."""
    days = _days(told, zone)
    return [(after - before).days for before, after in pairwise(days)]


def _within(times: Sequence[datetime], now: datetime, days: int) -> int:
    return sum(at > now - timedelta(days=days) for at in times)


def _trend(times: Sequence[datetime], now: datetime) -> Trend | None:
    recent = _within(times, now, _TREND_DAYS)
    before = _within(times, now, 2 * _TREND_DAYS) - recent
    # Of whom one has just met there is more by nature; so there is of whom only the latest is seen.
    is_young = not times or times[0] > now - timedelta(days=2 * _TREND_DAYS)
    if is_young or recent + before < _TREND_MIN:
        return None
    if recent > before * _TREND_FACTOR:
        return "more"
    return "less" if recent * _TREND_FACTOR < before else "same"


def _habit(counts: Sequence[int], days: int) -> int | None:
    most = max(counts)
    is_habit = days >= _HABIT_DAYS_MIN and most >= max(_HABIT_MIN, days * _HABIT_SHARE)
    return counts.index(most) if is_habit and counts.count(most) == 1 else None


def _quantile(ordered: Sequence[int], share: float) -> float:
    """Return the value below which `share` of the values lie, between two if need be."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
