"""How many commands a client may send: a bucket that fills by commands and leaks with time.

The whole state of a connection is one number, the moment when its bucket is empty again.
"""

from enum import Enum, auto
from typing import Final

# Sums of 1 / per_second must not look like one command more.
_ROUNDING: Final = 1e-6


class Pace(Enum):
    """How a client keeps to its limit."""

    FINE = auto()
    TOO_FAST = auto()
    """Over the burst: the command is refused (111)."""
    ABUSIVE = auto()
    """Over twice the burst, because refusals did not slow it down: the connection ends (3013)."""


def count(empty_at: float, now: float, per_second: int, burst: int) -> tuple[float, Pace]:
    """Count one command; refused commands fill the bucket too. `per_second` 0 limits nothing."""
    if not per_second:
        return 0.0, Pace.FINE
    empty_at = max(empty_at, now) + 1 / per_second
    level = (empty_at - now) * per_second - _ROUNDING
    if level <= burst:
        return empty_at, Pace.FINE
    return empty_at, Pace.TOO_FAST if level <= 2 * burst else Pace.ABUSIVE
