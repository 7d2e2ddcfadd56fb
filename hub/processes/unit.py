"""What the supervisor does about one child, decided without touching it."""

from typing import Final, Literal

State = Literal["down", "starting", "ready", "waiting"]
Action = Literal["start", "kill", "nothing"]

FIRST_DELAY_SECONDS: Final = 0.25
LONGEST_DELAY_SECONDS: Final = 15.0
# A child that was ready for so long starts with a clean slate when it crashes.
STABLE_SECONDS: Final = 30.0


class Unit:
    """The life of one child as the supervisor sees it; `step` is asked every few milliseconds."""

    def __init__(self, ready_timeout_seconds: float) -> None:
        self._ready_timeout_seconds = ready_timeout_seconds
        self.state: State = "down"
        self.failures = 0
        self._since = 0.0

    def step(self, now: float, *, running: bool, ready: bool) -> Action:
        """Return what to do now; `ready` is only looked at while the child is starting."""
        if self.state == "down" or (self.state == "waiting" and now >= self._since + self.delay):
            self._enter("starting", now)
            return "start"
        if self.state == "waiting":
            return "nothing"
        if not running:
            self._fail(now)
        elif self.state == "starting" and ready:
            self._enter("ready", now)
        elif self.state == "starting" and now > self._since + self._ready_timeout_seconds:
            return "kill"
        return "nothing"

    @property
    def delay(self) -> float:
        """How long to wait before the next start; doubles with each failure in a row."""
        return restart_delay_seconds(self.failures)

    def _fail(self, now: float) -> None:
        if self.state == "ready" and now > self._since + STABLE_SECONDS:
            self.failures = 0
        self.failures += 1
        self._enter("waiting", now)

    def _enter(self, state: State, now: float) -> None:
        self.state = state
        self._since = now


def restart_delay_seconds(failures: int) -> float:
    """Return how long to wait after so many failures in a row, at least one."""
    # The exponent stays small for a child that fails for days.
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (min(failures, 16) - 1))


def stop_budgets(wanted_seconds: list[float], total_seconds: float) -> list[float]:
    """Share the time to stop among stages in order; none is left without a moment to end."""
    asked = sum(wanted_seconds)
    scale = min(1.0, total_seconds / asked) if asked else 1.0
    return [seconds * scale for seconds in wanted_seconds]
