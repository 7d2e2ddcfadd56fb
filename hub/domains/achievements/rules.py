"""What counts for which achievement. Pure."""

from typing import Final, assert_never

from hub.domains.achievements.schemas import AnyRule, EventCount, StreakLength
from hub.domains.streaks.schemas import StreakKind

CONTACT_EVENTS: Final = frozenset({"ring.tapped", "touch.exchanged", "message.sent"})
"""Their authors were in contact with somebody, or showed that they want to be."""


def counts(rule: AnyRule, event_type: str) -> bool:
    """Say whether an event of a type is one more for a rule."""
    match rule:
        case EventCount(event_type=counted):
            return counted == event_type
        case StreakLength():
            return False
        case _:
            assert_never(rule)


def measures(rule: AnyRule, kind: StreakKind) -> bool:
    """Say whether a rule asks for the length of a kind of streak."""
    match rule:
        case StreakLength(kind=measured):
            return measured == kind
        case EventCount():
            return False
        case _:
            assert_never(rule)
