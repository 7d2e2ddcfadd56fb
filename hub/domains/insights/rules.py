"""What is worth telling, and in which words. Pure: facts in, insights out, the same each time."""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise, zip_longest
from statistics import median
from typing import Final, TypedDict, Unpack
from uuid import UUID
from zoneinfo import ZoneInfo

from hub.domains.insights.schemas import (
    NEWS_MAX,
    ActiveGoal,
    Found,
    InsightKind,
    Meeting,
    Named,
    Profile,
    Rhythm,
    SharedInterest,
    Way,
)

AT_ONCE: Final = 10
"""More than these nobody reads in a week."""
DUE_HOUR: Final = 6
SILENCE_FACTOR: Final = 3.0
SILENCE_MIN: Final = timedelta(days=7)
MEETINGS_MAX: Final = 50
# Four before the latest one: fewer show no rhythm.
_MEETINGS_MIN: Final = 5
_DAY: Final = timedelta(days=1)
_NAMED_MAX: Final = 3
_TITLE_MAX_CHARS: Final = 200
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
# Of intentions, beside what is too short to say anything.
_COMMON: Final = frozenset(
    _WORD.findall(
        "about after again also been before build built find found from good have help into like "
        "look make more need next other over person some somebody someone than that their them "
        "they this want what when where which will with work would year years your"
    )
)


class _More(TypedDict, total=False):
    goal_id: UUID
    evidence_ids: list[UUID]
    actionable: bool


def week_due(now: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the latest week whose insights are due: from 06:00 of that day, local.

    Where clocks go forward over six o'clock, from when they show more.
    """
    local = now.astimezone(zone).replace(tzinfo=None) - timedelta(hours=DUE_HOUR)
    return local.date() - timedelta(days=local.weekday())


def common_interests(shared: Iterable[SharedInterest]) -> list[Found]:
    """Return what contacts could be introduced to each other for."""
    return [
        _found(
            "common_interest",
            # Who they are is part of the fact: another one who cares is news.
            ("interest", topic.topic.lower(), _digest(topic.contact_ids)),
            f"{_list(topic.names)} care about {topic.topic}",
            f"{_list(topic.names)} care about {topic.topic}. Introduce them to each other?",
            topic.contact_ids,
        )
        for topic in shared
        if len(topic.contact_ids) > 1
    ]


def opportunities(goals: Iterable[ActiveGoal], profiles: Sequence[Profile]) -> list[Found]:
    """Return contacts who do or care about what a goal is about."""
    found: list[Found] = []
    for goal in goals:
        wanted = _words(goal.intention)
        for profile in profiles:
            said = " ".join([profile.job_title or "", profile.company or "", *profile.topics])
            fitting = sorted(wanted & _words(said))
            if not fitting or profile.id == goal.contact_id:
                continue
            insight = _found(
                "opportunity",
                ("opportunity", goal.id, profile.id),
                f"{profile.name} could help with a goal",
                f"{profile.name} has to do with {_list(fitting)}, and your goal is: "
                f"{goal.intention}",
                [profile.id],
                goal_id=goal.id,
            )
            found.append(insight)
    return found


def paths(ways: Iterable[Way]) -> list[Found]:
    """Return who leads to the contact of a goal."""
    return [
        _found(
            "connection_path",
            (path_of(way.goal.id), way.first.id),
            f"{way.first.name} leads to {way.goal.contact_name}",
            f"Over {way.first.name} it is {way.length} hops to {way.goal.contact_name}, whom "
            "you want to know. Ask for an introduction?",
            [way.first.id, *([way.goal.contact_id] if way.goal.contact_id else [])],
            goal_id=way.goal.id,
        )
        for way in ways
        if way.length > 1
    ]


def path_of(goal_id: UUID) -> str:
    """Return how reasons begin that tell of a way for a goal."""
    return f"path:{goal_id}"


def anomalies(rhythms: Iterable[Rhythm], now: datetime) -> list[Found]:
    """Return contacts who have been silent for much longer than usual, the longest first."""
    silent = sorted(
        (
            (now - rhythm.last_at, rhythm)
            for rhythm in rhythms
            if _is_unusual((now - rhythm.last_at) / _DAY, rhythm.gap_days)
        ),
        key=lambda item: (-item[0] / timedelta(days=max(item[1].gap_days, 1)), item[1].contact_id),
    )
    return [
        _found(
            "anomaly",
            # Of each silence once.
            ("silence", rhythm.contact_id, rhythm.last_interaction_id),
            f"It has become quiet with {rhythm.name}",
            f"{_usually(rhythm.name, rhythm.gap_days)}, and have not been for {silence.days} days.",
            [rhythm.contact_id],
            evidence_ids=[rhythm.last_interaction_id],
        )
        for silence, rhythm in silent
    ]


def returns(contact: Named, meetings: Sequence[Meeting], now: datetime) -> list[Found]:
    """Return that somebody is back after a silence that was much longer than usual.

    `meetings` are the latest first. What is told late, by an import of old ones, is no news.
    """
    if len(meetings) < _MEETINGS_MIN or now - meetings[0].occurred_at > NEWS_MAX:
        return []
    silence_days, *gaps_days = [
        (later.occurred_at - earlier.occurred_at) / _DAY for later, earlier in pairwise(meetings)
    ]
    usual_days = median(gaps_days)
    if not _is_unusual(silence_days, usual_days):
        return []
    return [
        _found(
            "anomaly",
            ("return", contact.id, meetings[0].id),
            f"You are in touch with {contact.name} again",
            f"{_usually(contact.name, usual_days)}, and now were after {int(silence_days)} days.",
            [contact.id],
            evidence_ids=[meeting.id for meeting in meetings[:2]],
            actionable=False,
        )
    ]


def chosen(most: int, told: Collection[str], *found: Sequence[Found]) -> list[Found]:
    """Return what is told now: of each kind in turn the first that was not, then the second."""
    news = [[item for item in kind if item.reason not in told] for kind in found]
    in_turn = [item for turn in zip_longest(*news) for item in turn if item is not None]
    return in_turn[:most]


def _found(
    kind: InsightKind,
    fact: Sequence[object],
    title: str,
    content: str,
    contact_ids: list[UUID],
    **more: Unpack[_More],
) -> Found:
    return Found(
        kind=kind,
        reason=":".join(map(str, fact)),
        title=title if len(title) <= _TITLE_MAX_CHARS else title[: _TITLE_MAX_CHARS - 1] + "…",
        content=content,
        contact_ids=contact_ids,
        **more,
    )


def _is_unusual(silence_days: float, gap_days: float) -> bool:
    return silence_days >= max(SILENCE_MIN / _DAY, gap_days * SILENCE_FACTOR)


def _usually(name: str, gap_days: float) -> str:
    whole = max(1, round(gap_days))
    return f"You are usually in touch with {name} every {'day' if whole == 1 else f'{whole} days'}"


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _COMMON


def _list(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED_MAX])
    if len(names) > _NAMED_MAX:
        shown.append(f"{len(names) - _NAMED_MAX} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _digest(ids: Sequence[UUID]) -> str:
    # So long that two sets of contacts of one address book do not meet, and short for an index.
    return hashlib.sha256(":".join(sorted(map(str, ids))).encode()).hexdigest()[:32]
