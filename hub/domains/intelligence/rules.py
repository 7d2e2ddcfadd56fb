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
# A quarter more or less than before.
_TREND_FACTOR: Final = 1.25
# What stands out has twice its share, of at least so many.
_STANDS_OUT: Final = 2.0
_TIMES_MIN: Final = 5


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
        balance=(outbound - inbound) / either if either else None,
    )


def usual_time(told: Sequence[Contacted], zone: tzinfo) -> UsualTime:
    """Say on which weekday and at which hour, if one stands out."""
    local = [item.occurred_at.astimezone(zone) for item in told]
    by_weekday, by_hour = [0] * 7, [0] * 24
    for at in local:
        by_weekday[at.weekday()] += 1
        by_hour[at.hour] += 1
    weekday, hour = _outstanding(by_weekday), _outstanding(by_hour)
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
    return ExpectedNext(
        expected_on=last + timedelta(days=round(middle)),
        earliest_on=last + timedelta(days=round(early)),
        latest_on=latest,
        is_overdue=now.astimezone(zone).date() > latest,
        confidence=evenness * len(gaps) / (len(gaps) + GAPS_MIN),
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
    if not recent and not before:
        return None
    if recent > before * _TREND_FACTOR:
        return "more"
    return "less" if recent * _TREND_FACTOR < before else "same"


def _outstanding(counts: Sequence[int]) -> int | None:
    total, most = sum(counts), max(counts)
    if total < _TIMES_MIN or most * len(counts) < total * _STANDS_OUT:
        return None
    return counts.index(most)


def _quantile(ordered: Sequence[int], share: float) -> float:
    """Return the value below which `share` of the values lie, between two if need be."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
