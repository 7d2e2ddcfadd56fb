"""The twin of the SQL that reads a past: what interactions say, faded, from a list of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hub.domains.relationships.rules import HALF_LIFE_PACES, LASTING_HALF_LIFE_DAYS
from hub.domains.relationships.schemas import Past, Values

NOBODY = UUID(int=0)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WEIGHTS = Values(recency=0.4, frequency=0.3, reciprocity=0.2, duration=0.1)


@dataclass(frozen=True)
class Met:
    """An interaction, some days ago."""

    days_ago: float
    direction: str = "mutual"
    seconds: int = 0

    @property
    def at(self) -> datetime:
        return NOW - timedelta(days=self.days_ago)


def past_of(
    met: Iterable[Met],
    *,
    cadence_days: float = 14,
    decay_rate: float = 1,
    weights: Values = WEIGHTS,
    since: datetime = NOW,
    now: datetime = NOW,
) -> Past:
    """Return what these interactions say at a moment; nothing was computed before."""
    days: dict[object, list[Met]] = defaultdict(list)
    for item in met:
        days[item.at.date()].append(item)
    groups = list(days.values())
    lasts = [max(item.at for item in group) for group in groups]
    ages = [(now - last).total_seconds() / 86400 for last in lasts]
    half_life = HALF_LIFE_PACES * cadence_days / decay_rate
    pace = [2.0 ** -min(age / half_life, 500) for age in ages]
    lasting = [2.0 ** -min(age / LASTING_HALF_LIFE_DAYS, 500) for age in ages]
    inbound = [any(item.direction != "outbound" for item in group) for group in groups]
    outbound = [any(item.direction != "inbound" for item in group) for group in groups]
    minutes = [sum(item.seconds for item in group) / 60 for group in groups]
    return Past(
        user_id=NOBODY,
        contact_id=NOBODY,
        cadence_days=cadence_days,
        decay_rate=decay_rate,
        recency_weight=weights.recency,
        frequency_weight=weights.frequency,
        reciprocity_weight=weights.reciprocity,
        duration_weight=weights.duration,
        since=min((item.at for group in groups for item in group), default=since),
        last_touch_at=max(lasts, default=None),
        contact_days=sum(pace),
        inbound=sum(weight for weight, is_in in zip(pace, inbound, strict=True) if is_in),
        outbound=sum(weight for weight, is_out in zip(pace, outbound, strict=True) if is_out),
        minutes=sum(weight * each for weight, each in zip(pace, minutes, strict=True)),
        lasting_days=sum(lasting),
        lasting_minutes=sum(weight * each for weight, each in zip(lasting, minutes, strict=True)),
        all_days=len(groups),
        all_inbound_days=sum(inbound),
        all_outbound_days=sum(outbound),
        all_hours=sum(minutes) / 60,
        band=None,
        band_since=None,
        fell_at=None,
        baseline=None,
        told_score=None,
        told_day_score=None,
        computed_at=None,
    )
