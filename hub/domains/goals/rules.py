"""Which states of a goal follow on which. Pure."""

from collections.abc import Mapping
from typing import Final

from hub.domains.goals.schemas import GoalStatus

NEXT: Final[Mapping[GoalStatus, frozenset[GoalStatus]]] = {
    "active": frozenset({"achieved", "abandoned"}),
    "abandoned": frozenset({"active"}),
    # What was achieved has been told and counted.
    "achieved": frozenset(),
}


def may_become(current: GoalStatus, wanted: GoalStatus) -> bool:
    """Say whether a goal may go from one state to another; to stay is always allowed."""
    return current == wanted or wanted in NEXT[current]
