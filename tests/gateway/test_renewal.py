"""When a certificate is renewed: step by step, then a model of disk, hub and broker with faults."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway import renewal
from gateway.identity import Held, Validity
from gateway.renewal import Accept, Ask, Discard, LinkFailed, LinkUp, Renewal, RenewalState, Use

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
LIFE = Validity(0, 90 * DAY_MS)
DUE = 60 * DAY_MS
ON_TRIAL = Use(on_trial=True)
AS_BEFORE = Use(on_trial=False)


def connected(held: Held = "nothing", *, now: float = 0.0) -> Renewal:
    made = Renewal(LIFE, held, lambda: 0.0)
    made.feed(LinkUp(on_trial=held == "certificate"), now)
    return made


def asking() -> Renewal:
    made = connected()
    assert made.feed(renewal.Tick(DUE), 0) == [Ask()]
    return made


def trying() -> Renewal:
    made = asking()
    assert made.feed(renewal.Replied(""), 1) == [ON_TRIAL]
    return made


def test_a_certificate_is_renewed_at_two_thirds_of_its_life_and_not_before():
    made = connected()
    assert made.feed(renewal.Tick(DUE - 1), 0) == []
    assert made.feed(renewal.Tick(DUE), 0) == [Ask()]


def test_gateways_that_were_claimed_together_do_not_renew_together():
    late = Renewal(LIFE, "nothing", lambda: 0.999)
    late.feed(LinkUp(on_trial=False), 0)
    assert late.feed(renewal.Tick(DUE + 2 * DAY_MS), 0) == []
    assert late.feed(renewal.Tick(DUE + 3 * DAY_MS), 0) == [Ask()]


def test_nothing_is_asked_without_a_connection():
    made = Renewal(LIFE, "nothing", lambda: 0.0)
    assert made.feed(renewal.Tick(DUE), 0) == []
    made.feed(LinkUp(on_trial=False), 1)
    made.feed(LinkFailed(on_trial=False), 2)
    assert made.feed(renewal.Tick(DUE), 3) == []


def test_a_lost_answer_is_asked_for_again_ever_more_slowly_up_to_once_in_an_hour():
    made = asking()
    now, pauses = 0.0, list[float]()
    for _ in range(12):
        before = now
        while not made.feed(renewal.Tick(DUE), now):
            now += 1
        pauses.append(now - before)
    assert pauses[:3] == [5, 10, 20]
    assert max(pauses) == 1800


def test_the_successor_counts_once_the_broker_has_accepted_it():
    made = trying()
    assert made.is_on_trial
    assert made.feed(LinkUp(on_trial=False), 1) == []  # told late: it was the old one
    assert made.feed(LinkFailed(on_trial=False), 1) == []  # the old connection's end
    assert made.feed(LinkUp(on_trial=True), 2) == [Accept()]
    later = Validity(DUE, DUE + 90 * DAY_MS)
    assert made.feed(renewal.Accepted(later), 2) == []
    assert (made.state, made.validity) == (RenewalState.FRESH, later)
    assert made.feed(renewal.Tick(DUE + 60 * DAY_MS - 1), 9) == []


def test_an_accepting_that_failed_on_the_disk_is_repeated():
    made = trying()
    assert made.feed(LinkUp(on_trial=True), 2) == [Accept()]
    assert made.feed(renewal.Tick(DUE), 2) == []
    assert made.feed(renewal.Tick(DUE), 30) == [Accept()]


def test_a_refused_successor_falls_back_and_is_given_up_after_three_trials():
    made = trying()
    for trial in range(3):
        assert made.feed(LinkFailed(on_trial=True), 100 * trial) == [AS_BEFORE]
        actions = made.feed(LinkUp(on_trial=False), 100 * trial)
        if trial < 2:
            assert actions == []
            assert made.feed(renewal.Tick(DUE), 100 * trial + 59) == []
            assert made.feed(renewal.Tick(DUE), 100 * trial + 60) == [ON_TRIAL]
        else:
            assert actions == [Discard()]
    assert made.problem == "successor_refused"
    assert made.feed(renewal.Tick(DUE), 1000) == []
    assert made.feed(renewal.Tick(DUE), 5000) == [Ask()]


def test_while_the_broker_accepts_neither_both_take_turns():
    made = trying()
    for _ in range(5):
        assert made.feed(LinkFailed(on_trial=True), 2) == [AS_BEFORE]
        assert made.feed(LinkFailed(on_trial=False), 3) == [ON_TRIAL]


@pytest.mark.parametrize(
    ("code", "problem", "pause"),
    [("revoked", "revoked", 1800), ("malformed", "malformed", 1800), ("not_due", "", 3 * 3600)],
)
def test_a_refused_request_is_forgotten_and_the_old_certificate_stays(code, problem, pause):
    made = asking()
    assert made.feed(renewal.Replied(code), 1) == [Discard()]
    assert (made.state, made.problem) == (RenewalState.FRESH, problem)
    assert made.feed(renewal.Tick(DUE), pause - 1) == []
    assert made.feed(renewal.Tick(DUE), pause + 1) == [Ask()]


def test_a_hub_without_an_authority_is_asked_again_with_the_same_request():
    made = asking()
    assert made.feed(renewal.Replied("unavailable"), 1) == []
    assert (made.state, made.problem) == (RenewalState.ASKING, "unavailable")
    assert made.feed(renewal.Tick(DUE), 10) == [Ask()]


def test_an_answer_that_nobody_asked_for_changes_nothing():
    made = connected()
    assert made.feed(renewal.Replied(""), 1) == []
    assert made.state is RenewalState.FRESH


@pytest.mark.parametrize(
    ("held", "state"),
    [("nothing", "fresh"), ("request", "asking"), ("certificate", "trying")],
)
def test_a_start_goes_on_where_the_disk_says_the_last_run_was(held, state):
    assert Renewal(LIFE, held, lambda: 0.0).state == state


class World(RuleBasedStateMachine):
    """A disk, a broker, a hub; the network, the clock and the process fail at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 59.0 * 86400  # a day before anything happens
        self.skew_ms = 0
        self.network = True
        self.linked: int | None = None
        self.serial = 1
        self.current = (1, LIFE)
        self.staged: tuple[int, Validity] | str = "nothing"
        self.accepted_by_broker = {1}
        self.distrusted: set[int] = set()
        self.asked = False
        self.disk_is_full = False
        self.random = random.Random(7)
        self.start()

    def start(self) -> None:
        held: Held = "certificate"
        if not isinstance(self.staged, tuple):
            held = "request" if self.staged == "request" else "nothing"
        self.renewal = Renewal(self.current[1], held, self.random.random)
        self.shows_successor = self.renewal.is_on_trial
        self.linked = None

    @property
    def true_ms(self) -> int:
        return round(self.now * 1000)

    def feed(self, event: renewal.Event) -> None:
        for action in self.renewal.feed(event, self.now):
            self.do(action)

    def do(self, action: renewal.Action) -> None:
        match action:
            case Ask():
                if not isinstance(self.staged, tuple) and not self.disk_is_full:
                    self.staged = "request"
                    self.asked = self.linked is not None
            case Use(on_trial):
                self.linked = None
                self.shows_successor = on_trial
            case Accept():
                if self.disk_is_full:
                    return
                assert isinstance(self.staged, tuple)
                self.current, self.staged = self.staged, "nothing"
                self.shows_successor = False
                self.feed(renewal.Accepted(self.current[1]))
            case Discard():
                self.staged = "nothing"

    @rule(seconds=st.sampled_from([1, 61, 3600, 40 * 3600, 3 * 86400]))
    def time_passes(self, seconds):
        self.now += seconds
        self.feed(renewal.Tick(self.true_ms + self.skew_ms))

    @rule(hours=st.sampled_from([-(10**5), -1, 0, 1, 10**5]))
    def the_clock_is_set(self, hours):
        self.skew_ms = hours * HOUR_MS

    @rule(is_there=st.booleans())
    def the_network_changes(self, is_there):
        self.network = is_there
        if not is_there and self.linked is not None:
            self.feed(LinkFailed(on_trial=self.linked != self.current[0]))
            self.linked = None

    @rule(is_full=st.booleans())
    def the_disk_changes(self, is_full):
        self.disk_is_full = is_full

    @precondition(lambda self: self.linked is None)
    @rule()
    def the_uplink_tries(self):
        on_trial = self.shows_successor
        if on_trial:
            assert isinstance(self.staged, tuple)
        serial, validity = self.staged if on_trial else self.current
        in_time = validity.not_before_ms <= self.true_ms < validity.not_after_ms
        if not (self.network and in_time and serial not in self.distrusted):
            self.feed(LinkFailed(on_trial=on_trial))
            return
        self.linked = serial
        self.accepted_by_broker.add(serial)
        self.feed(LinkUp(on_trial=on_trial))

    @precondition(lambda self: self.asked)
    @rule(code=st.sampled_from(["", "", "", "not_due", "revoked", "malformed", "unavailable"]))
    def the_hub_answers(self, code):
        if code:
            self.feed(renewal.Replied(code))
            return
        if self.staged != "request" or self.disk_is_full:
            return
        self.serial += 1
        self.staged = (self.serial, Validity(self.true_ms, self.true_ms + 90 * DAY_MS))
        self.feed(renewal.Replied(""))

    @precondition(lambda self: isinstance(self.staged, tuple))
    @rule()
    def the_broker_takes_a_dislike_to_the_successor(self):
        assert isinstance(self.staged, tuple)
        self.distrusted.add(self.staged[0])

    @rule()
    def the_process_is_killed(self):
        self.asked = False
        self.start()

    @invariant()
    def the_identity_is_one_that_the_broker_has_accepted(self):
        assert self.current[0] in self.accepted_by_broker

    @invariant()
    def the_successor_is_shown_only_when_there_is_one(self):
        assert not self.shows_successor or isinstance(self.staged, tuple)

    def teardown(self) -> None:
        """In peace again, a certificate in time is renewed before it ends."""
        self.network, self.disk_is_full, self.skew_ms = True, False, 0
        if self.true_ms >= self.current[1].not_after_ms - 15 * DAY_MS:
            return
        self.distrusted.clear()
        before = self.current[0]
        self.now = max(self.now, self.current[1].not_before_ms / 1000 + 64 * 86400)
        for _ in range(400):
            self.now += 60
            if self.linked is None:
                self.the_uplink_tries()
            self.feed(renewal.Tick(self.true_ms))
            if self.asked and self.staged == "request":
                self.the_hub_answers("")
            if self.current[0] != before:
                break
        assert self.current[0] != before


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
