"""Two records of a touch become one touch, whatever the order, and a half discloses nothing."""

from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from firmware_bridge import eid
from hub.domains.profiles.schemas import ShareOnTap
from hub.domains.touches import rules
from hub.domains.touches.schemas import Half, TouchAnswer, TouchEvent, TouchState

NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
RINGS = [UUID(int=number) for number in range(1, 6)]


def half(own: int = 0, peer: int = 1, **changes: object) -> Half:
    fields: dict[str, object] = {
        "tap_id": UUID(int=100 + own),
        "ring_id": RINGS[own],
        "seq": 10 + own,
        "peer_ring_id": RINGS[peer],
        "peer_seq": 10 + peer,
        "tapped_ms": NOW_MS,
        "uncertainty_ms": 0,
        "received_ms": NOW_MS,
    }
    return Half(**(fields | changes))  # type: ignore[arg-type]


ONE, OTHER = half(0, 1), half(1, 0)
CONSENTS = {("always", None), ("always", "confirmed"), ("ask", "confirmed")}


def test_two_records_that_name_each_other_are_one_touch():
    assert rules.is_pair(ONE, OTHER)
    assert rules.is_pair(OTHER, ONE)


@pytest.mark.parametrize(
    "changes",
    [
        {"ring_id": RINGS[2]},
        {"peer_ring_id": RINGS[2]},
        {"seq": 12},
        {"peer_seq": 11},
        {"tapped_ms": None},
        {"tapped_ms": NOW_MS + 120_001},
        {"tapped_ms": NOW_MS - 120_001},
    ],
)
def test_anything_else_is_not(changes):
    changed = replace(OTHER, **changes)
    assert not rules.is_pair(ONE, changed)
    assert not rules.is_pair(changed, ONE)


def test_unsure_clocks_may_differ_by_the_sum_of_their_uncertainties():
    late = replace(OTHER, tapped_ms=NOW_MS + HOUR_MS, uncertainty_ms=HOUR_MS // 2)
    assert not rules.is_pair(ONE, late)
    assert rules.is_pair(replace(ONE, uncertainty_ms=HOUR_MS // 2), late)


def test_a_ring_does_not_touch_itself():
    assert not rules.is_pair(half(0, 0), half(0, 0))


def test_a_half_expires_after_a_day():
    last_ms = NOW_MS + rules.HALF_LIFETIME_MS - 1
    assert rules.find_partner(OTHER, [ONE], last_ms) == ONE
    assert rules.find_partner(OTHER, [ONE], last_ms + 1) is None
    fresh = replace(OTHER, received_ms=last_ms + 1)
    assert rules.find_partner(fresh, [ONE], last_ms + 1) is None
    assert rules.find_partner(ONE, [fresh], last_ms + 1) is None


def test_of_several_partners_the_nearest_in_time_is_taken():
    near, far = replace(ONE, tapped_ms=NOW_MS + 5), replace(ONE, tapped_ms=NOW_MS - 50)
    assert rules.find_partner(OTHER, [far, near], NOW_MS) == near


@pytest.mark.parametrize(
    ("state", "event", "then"),
    [
        ("half", "partnered", "mutual"),
        ("half", "confirmed", "mutual"),
        ("half", "exchanged", "half"),
        ("mutual", "partnered", "mutual"),
        ("mutual", "confirmed", "mutual"),
        ("mutual", "exchanged", "exchanged"),
        ("exchanged", "partnered", "exchanged"),
        ("exchanged", "confirmed", "exchanged"),
        ("exchanged", "exchanged", "exchanged"),
        ("half", "expired", "expired"),
        ("mutual", "expired", "mutual"),
        ("half", "declined", "declined"),
        ("mutual", "declined", "declined"),
        ("exchanged", "declined", "exchanged"),
    ],
)
def test_a_touch_goes_from_half_to_mutual_to_exchanged_and_never_back(state, event, then):
    assert rules.next_state(state, event) == then


@pytest.mark.parametrize("state", get_args(TouchState))
@pytest.mark.parametrize("sharing", [(True, True), (True, False), (False, True), (False, False)])
def test_contact_data_needs_both_halves_and_both_owners(state, sharing):
    disclosed = rules.may_disclose(state, sharing=sharing)
    assert disclosed == (state in ("mutual", "exchanged") and sharing == (True, True))


@given(st.lists(st.sampled_from(get_args(TouchEvent))))
def test_what_has_ended_stays_ended_and_cards_go_over_from_mutual_only(events):
    state: TouchState = "half"
    for event in events:
        then = rules.next_state(state, event)
        if state in ("exchanged", "declined", "expired"):
            assert then == state
        if then == "exchanged" != state:
            assert state == "mutual"
        state = then


@given(st.sampled_from(get_args(ShareOnTap)), st.sampled_from([None, *get_args(TouchAnswer)]))
def test_a_card_goes_over_by_setting_or_word_and_never_against_either(setting, answer):
    shares = rules.shares(setting, answer)
    assert shares == ((setting, answer) in CONSENTS)
    assert not (rules.is_asked(setting, answer) and shares)


@pytest.mark.parametrize("apart", [-2, -1, 0, 1, 2])
def test_an_identifier_counts_in_its_window_and_the_two_beside_it(apart):
    key = bytes(16)
    shown = eid.eid(eid.derive(key), eid.window_of(NOW_MS) + apart)
    assert rules.was_shown(key, shown, NOW_MS, 0) == (abs(apart) <= 1)
    assert rules.was_shown(key, shown, NOW_MS, eid.WINDOW_MS)
    assert not rules.was_shown(b"\1" * 16, shown, NOW_MS, eid.WINDOW_MS)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)).map(lambda s: range(s[0], sum(s)))),
    st.integers(1, 8),
)
def test_as_many_halves_are_looked_up_as_fit_and_at_least_one(spans, windows_max):
    count, windows = rules.first_within(spans, windows_max)
    fitting = [span for span in spans[:count] if len(span) <= windows_max]
    assert windows == {window for span in fitting for window in span}
    assert len(windows) <= windows_max
    assert count >= min(1, len(spans))


class Hub(RuleBasedStateMachine):
    """Touches of five rings whose halves reach a hub late, twice, in any order or never."""

    touches = Bundle("touches")

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.seqs = [0] * len(RINGS)
        self.rows: dict[UUID, tuple[Half, str]] = {}
        self.genuine: set[frozenset[UUID]] = set()
        self.lies: set[UUID] = set()
        self.pairs: list[frozenset[UUID]] = []
        self.shared: set[UUID] = set()

    @rule(
        target=touches,
        rings=st.lists(st.integers(0, len(RINGS) - 1), min_size=2, max_size=2, unique=True),
        apart_ms=st.integers(-120_000, 120_000),
    )
    def touch(self, rings, apart_ms):
        for ring in rings:
            self.seqs[ring] += 1
        halves = []
        for own, peer, tapped_ms in (
            (rings[0], rings[1], self.now_ms),
            (rings[1], rings[0], self.now_ms + apart_ms),
        ):
            halves.append(
                half(
                    own,
                    peer,
                    tap_id=UUID(int=1000 * (own + 1) + self.seqs[own]),
                    seq=self.seqs[own],
                    peer_seq=self.seqs[peer],
                    tapped_ms=tapped_ms,
                )
            )
        self.genuine.add(frozenset(item.tap_id for item in halves))
        return halves

    @rule(touch=touches, side=st.integers(0, 1))
    def arrive(self, touch, side):
        self._take(replace(touch[side], received_ms=self.now_ms))

    @rule(touch=touches, thief=st.integers(0, len(RINGS) - 1), counter=st.integers(1, 5))
    def relay(self, touch, thief, counter):
        """A ring claims to have touched whom it only overheard."""
        victim = touch[0]
        if RINGS[thief] in (victim.ring_id, touch[1].ring_id):
            return
        self.seqs[thief] += 1
        stolen = half(
            thief,
            tap_id=UUID(int=1000 * (thief + 1) + self.seqs[thief]),
            seq=self.seqs[thief],
            peer_ring_id=victim.ring_id,
            peer_seq=counter,
            tapped_ms=self.now_ms,
            received_ms=self.now_ms,
        )
        self.lies.add(stolen.tap_id)
        self._take(stolen)

    @rule(hours=st.integers(1, 30))
    def wait(self, hours):
        self.now_ms += hours * HOUR_MS

    @rule(sharing=st.tuples(st.booleans(), st.booleans()))
    def exchange(self, sharing):
        for tap_id, (item, state) in self.rows.items():
            if rules.may_disclose(state, sharing=sharing):
                self.rows[tap_id] = item, rules.next_state(state, "exchanged")
                self.shared.add(tap_id)

    def _take(self, item: Half) -> None:
        if item.tap_id in self.rows:
            return  # (ring, boot, seq) names a tap: it is recorded once
        waiting = [known for known, state in self.rows.values() if state == "half"]
        partner = rules.find_partner(item, waiting, self.now_ms)
        self.rows[item.tap_id] = item, "half"
        if partner is None:
            return
        for found in (item, partner):
            self.rows[found.tap_id] = found, rules.next_state("half", "partnered")
        self.pairs.append(frozenset((item.tap_id, partner.tap_id)))

    @invariant()
    def only_real_touches_are_paired_and_each_once(self):
        # Two who lie for each other have met in their own way; nobody else is drawn into it.
        assert all(pair <= self.lies for pair in set(self.pairs) - self.genuine)
        paired = [tap_id for pair in self.pairs for tap_id in pair]
        assert len(set(paired)) == len(paired)

    @invariant()
    def both_sides_of_a_pair_and_nobody_else_left_half(self):
        paired = {tap_id for pair in self.pairs for tap_id in pair}
        assert {tap_id for tap_id, (_, state) in self.rows.items() if state != "half"} == paired
        assert self.shared <= paired

    @invariant()
    def no_two_live_halves_of_one_touch_wait_beside_each_other(self):
        waiting = [item for item, state in self.rows.values() if state == "half"]
        for item in waiting:
            others = [other for other in waiting if other is not item]
            assert rules.find_partner(item, others, self.now_ms) is None


TestHub = Hub.TestCase
TestHub.settings = settings(max_examples=60, stateful_step_count=30)
