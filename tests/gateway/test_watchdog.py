"""What the silence of the radio calls for."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.watchdog import (
    GIVE_UP_SECONDS,
    POWER_CYCLE_SECONDS,
    RESTART_SECONDS,
    Measure,
    Watchdog,
)


def steps_of(watchdog: Watchdog, until: int) -> list[tuple[int, Measure]]:
    steps = [(second, watchdog.check(second, is_linked=False)) for second in range(0, until, 5)]
    return [(second, measure) for second, measure in steps if measure]


def test_silence_restarts_the_scan_then_cycles_the_adapter_then_gives_up():
    watchdog = Watchdog(0)
    watchdog.heard(0)
    assert steps_of(watchdog, 310) == [
        (60, "restart_scan"),
        (120, "restart_scan"),
        (180, "power_cycle"),
        (240, "restart_scan"),
        (300, "give_up"),
        (305, "give_up"),
    ]


def test_a_process_that_never_heard_anything_does_not_hand_its_silence_to_the_next():
    assert {measure for _, measure in steps_of(Watchdog(0), 2000)} == {
        "restart_scan",
        "power_cycle",
    }


def test_one_dead_adapter_does_not_end_the_work_of_another():
    watchdog = Watchdog(0)
    watchdog.heard(0)
    assert watchdog.check(500, is_linked=False, may_give_up=False) == "power_cycle"
    assert watchdog.check(505, is_linked=False) == "give_up"


def test_beside_a_standing_link_only_the_scan_is_restarted():
    watchdog = Watchdog(0)
    watchdog.heard(0)
    assert watchdog.check(500, is_linked=True) == "restart_scan"
    assert watchdog.check(559, is_linked=True) is None
    assert watchdog.check(560, is_linked=True) == "restart_scan"
    assert watchdog.check(739, is_linked=False) == "restart_scan"
    assert watchdog.check(740, is_linked=False) == "power_cycle"


class Silence(RuleBasedStateMachine):
    """Any course of hearing, linking and silence, checked every few seconds."""

    @initialize()
    def begin(self) -> None:
        self.now = self.heard_at = self.alive_at = self.measured_at = 0.0
        self.has_heard = self.is_linked = False
        self.watchdog = Watchdog(0.0)
        self.taken: list[tuple[float, Measure]] = []

    @rule(linked=st.booleans())
    def link(self, linked: bool) -> None:
        self.is_linked = linked

    @rule()
    def hear(self) -> None:
        self.watchdog.heard(self.now)
        self.heard_at = self.alive_at = self.now
        self.has_heard = True

    @rule(seconds=st.floats(0.1, 400))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 5)
            self.check()

    def check(self) -> None:
        if self.is_linked:
            self.alive_at = self.now
        measure = self.watchdog.check(self.now, is_linked=self.is_linked)
        dead = self.now - self.alive_at
        if measure in {"power_cycle", "give_up"}:
            assert not self.is_linked
            assert dead >= POWER_CYCLE_SECONDS
        if measure == "give_up":
            assert self.has_heard
        assert (measure == "give_up") == (self.has_heard and dead >= GIVE_UP_SECONDS)
        if measure:
            assert self.now - self.heard_at >= RESTART_SECONDS
            self.taken.append((self.now, measure))

    @invariant()
    def no_silence_goes_unanswered(self) -> None:
        last = max([self.heard_at, *(at for at, _ in self.taken[-1:])])
        assert self.now - last < RESTART_SECONDS + 5


Silence.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSilence = Silence.TestCase
