"""Pure rules of nudges: on which days a birthday is, and what is said."""

from datetime import date, timedelta
from typing import Final, assert_never

from hub.domains.nudges.schemas import NudgeKind

MORNING_HOUR: Final = 8
"""Of the user's time zone."""
_FEBRUARY: Final = 2


def birthdays_on(day: date) -> list[int]:
    """Return the days of that month whose birthdays are celebrated: those of leap days too."""
    is_last_of_february = day.month == _FEBRUARY and (day + timedelta(days=1)).month != _FEBRUARY
    return [28, 29] if is_last_of_february and day.day == 28 else [day.day]  # noqa: PLR2004  # the leap day's neighbour


def text_of(kind: NudgeKind, full_name: str) -> str:
    """Return a nudge in words."""
    match kind:
        case "going_cold":
            return f"You and {full_name} are losing touch."
        case "birthday":
            return f"{full_name} has a birthday."
        case "follow_up":
            return f"It is time to be in touch with {full_name} again."
        case "job_change":
            return f"{full_name} has a new job."
        case _:
            assert_never(kind)
