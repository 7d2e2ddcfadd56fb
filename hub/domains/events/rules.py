"""When failed consumer tasks are tried again, and when they are given up."""

from typing import Final

MAX_ATTEMPTS: Final = 10
_FIRST_DELAY_SECONDS: Final = 2.0
_LONGEST_DELAY_SECONDS: Final = 3600.0


def is_dead(attempts: int) -> bool:
    """True when a task that failed `attempts` times goes to the dead letters."""
    return attempts >= MAX_ATTEMPTS


def retry_delay_seconds(attempts: int, chance: float) -> float:
    """Return the wait after the `attempts`-th failure: exponential, full jitter.

    `chance` is uniform in [0, 1). Half of the wait is fixed, so that a broken dependency is never
    hammered at once by tasks that drew a small number.
    """
    ceiling = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** (attempts - 1))
    return ceiling / 2 + chance * ceiling / 2
