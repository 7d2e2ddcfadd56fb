"""What is worth telling, and in which words. Pure: facts in, insights out, the same each time."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from hub.domains.insights.schemas import (
    NEWS_MAX,
    ActiveGoal,
    Found,
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
_NAMED_MAX: Final = 3
_TITLE_MAX_CHARS: Final = 200
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
# Of intentions, beside what is too short to say anything.
_COMMON: Final = frozenset(
    {
        "about",
        "after",
        "again",
        "also",
        "been",
        "before",
        "build",
        "built",
        "find",
        "found",
        "from",
        "good",
        "have",
        "help",
        "into",
        "like",
        "look",
        "make",
        "more",
        "need",
        "next",
        "other",
        "over",
        "person",
        "some",
        "somebody",
        "someone",
        "than",
        "that",
        "their",
        "them",
        "they",
        "this",
        "want",
        "what",
        "when",
        "where",
        "which",
        "will",
        "with",
        "work",
        "would",
        "year",
        "years",
        "your",
    }
)


def week_due(now: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the latest week whose insights are due: from 06:00 of that day, local.

    Where clocks go forward over six o'clock, from when they show more.
    """
    local = now.astimezone(zone).replace(tzinfo=None) - timedelta(hours=DUE_HOUR)
    return local.date() - timedelta(days=local.weekday())


def common_interests(shared: Iterable[SharedInterest]) -> list[Found]:
    """Return what contacts could be introduced to each other for."""
    return [
        Found(
            kind="common_interest",
            # Who they are is part of the fact: another one who cares is news.
            reason=f"interest:{topic.topic.lower()}:{_ids(topic.contact_ids)}",
            title=_short(f"{_list(topic.names)} care about {topic.topic}"),
            content=f"{_list(topic.names)} care about {topic.topic}. Introduce them to each other?",
            contact_ids=topic.contact_ids,
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
            found.append(
                Found(
                    kind="opportunity",
                    reason=f"opportunity:{goal.id}:{profile.id}",
                    title=_short(f"{profile.name} could help with a goal"),
                    content=(
                        f"{profile.name} has to do with {_list(fitting)}, and your goal is: "
                        f"{goal.intention}"
                    ),
                    contact_ids=[profile.id],
                )
            )
    return found


def paths(ways: Iterable[Way]) -> list[Found]:
    """Return who leads to the contact of a goal."""
    return [
        Found(
            kind="connection_path",
            reason=f"path:{way.goal.id}:{way.first.id}",
            title=_short(f"{way.first.name} leads to {way.goal.contact_name}"),
            content=(
                f"Over {way.first.name} it is {way.length} hops to {way.goal.contact_name}, whom "
                "you want to know. Ask for an introduction?"
            ),
            contact_ids=[way.first.id, *([way.goal.contact_id] if way.goal.contact_id else [])],
        )
        for way in ways
        if way.length > 1
    ]


def anomalies(rhythms: Iterable[Rhythm], now: datetime) -> list[Found]:
    """Return contacts who have been silent for much longer than usual, the longest first."""
    silent = sorted(
        (
            (now - rhythm.last_at, rhythm)
            for rhythm in rhythms
            if now - rhythm.last_at
            >= max(SILENCE_MIN, timedelta(days=rhythm.gap_days * SILENCE_FACTOR))
        ),
        key=lambda item: (-item[0] / timedelta(days=max(item[1].gap_days, 1)), item[1].contact_id),
    )
    return [
        Found(
            kind="anomaly",
            # Of each silence once.
            reason=f"silence:{rhythm.contact_id}:{rhythm.last_interaction_id}",
            title=_short(f"It has become quiet with {rhythm.name}"),
            content=(
                f"You are usually in touch with {rhythm.name} every "
                f"{_days(rhythm.gap_days)}, and have not been for {silence.days} days."
            ),
            contact_ids=[rhythm.contact_id],
            evidence_ids=[rhythm.last_interaction_id],
        )
        for silence, rhythm in silent
    ]


def returns(contact: Named, meetings: Sequence[Meeting], now: datetime) -> list[Found]:
    """Return that somebody is back after a silence that was much longer than usual.

    `meetings` are the latest first. What is told late, by an import of old ones, is no news.
    """
    gaps_days = [
        (later.occurred_at - earlier.occurred_at) / timedelta(days=1)
        for later, earlier in pairwise(meetings)
    ]
    if len(meetings) < _MEETINGS_MIN or now - meetings[0].occurred_at > NEWS_MAX:
        return []
    silence_days, usual_days = gaps_days[0], median(gaps_days[1:])
    if silence_days < max(SILENCE_MIN / timedelta(days=1), usual_days * SILENCE_FACTOR):
        return []
    return [
        Found(
            kind="anomaly",
            reason=f"return:{contact.id}:{meetings[0].id}",
            title=_short(f"You are in touch with {contact.name} again"),
            content=(
                f"You are usually in touch with {contact.name} every "
                f"{_days(usual_days)}, and now were after {int(silence_days)} days."
            ),
            contact_ids=[contact.id],
            evidence_ids=[meeting.id for meeting in meetings[:2]],
            actionable=False,
        )
    ]


def chosen(*found: Sequence[Found]) -> list[Found]:
    """Return what is told: of each kind in turn the first, then the second, up to a week's."""
    turns = max((len(kind) for kind in found), default=0)
    in_turn = [kind[turn] for turn in range(turns) for kind in found if turn < len(kind)]
    return in_turn[:AT_ONCE]


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _COMMON


def _list(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED_MAX])
    if len(names) > _NAMED_MAX:
        shown.append(f"{len(names) - _NAMED_MAX} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _ids(ids: Sequence[object]) -> str:
    # So long that two sets of contacts of one address book do not meet, and short for an index.
    return hashlib.sha256(":".join(sorted(map(str, ids))).encode()).hexdigest()[:32]


def _days(days: float) -> str:
    whole = max(1, round(days))
    return "day" if whole == 1 else f"{whole} days"


def _short(title: str) -> str:
    return title if len(title) <= _TITLE_MAX_CHARS else title[: _TITLE_MAX_CHARS - 1] + "…"
