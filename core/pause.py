"""How long to wait before trying again what has failed."""

import random
from typing import Final

_FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 2.0
"""Short: an outage is over for users only when this wait is."""
# Far above the longest pause, far below what a float can hold after failing for days.
_EXPONENT_MAX: Final = 16


def pause_seconds(failures: int) -> float:
    """Return the wait after the n-th failure in a row: exponential, with jitter.

    Jitter, so that a fleet does not come back in one moment.
    """
    ceiling = min(LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(failures - 1, _EXPONENT_MAX))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  # jitter, no secret
