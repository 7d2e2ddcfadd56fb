"""Who may connect next: one at a time per adapter, fair among many rings."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.places import FULL_SECONDS, HEARD_SECONDS, TURN_SECONDS, Places


def places_with(*adapters: str, slots: int = 2) -> Places:
    places = Places(slots)
    for adapter in adapters:
        places.open(adapter)
    return places


def ask(places: Places, *addresses: str, adapter: str = "a", rssi: int = -50) -> None:
    for address in addresses:
        places.heard(address, adapter, rssi, 0)
        places.ask(address, 0)


def test_an_adapter_connects_one_ring_at_a_time_in_the_order_of_asking():
    places = places_with("a", slots=3)
    ask(places, "1", "2", "3")
    assert places.grant(0) == [("1", "a")]
    assert places.grant(0) == []
    places.connected("1")
    assert places.grant(0) == [("2", "a")]
    places.leave("2")
    assert places.grant(0) == [("3", "a")]


def test_no_more_rings_are_connected_than_the_adapter_has_places():
    places = places_with("a", slots=1)
    ask(places, "1", "2")
    assert places.grant(0) == [("1", "a")]
    places.connected("1")
    assert places.grant(1) == []
    places.leave("1")
    assert places.grant(1) == [("2", "a")]


def test_two_adapters_share_the_rings_that_both_hear():
    places = places_with("a", "b")
    for adapter in ("a", "b"):
        ask(places, "1", "2", adapter=adapter)
    assert sorted(places.grant(0)) == [("1", "a"), ("2", "b")]


def test_a_ring_goes_to_the_adapter_that_hears_it_much_better():
    places = places_with("a", "b")
    ask(places, "1", adapter="a", rssi=-90)
    ask(places, "1", adapter="b", rssi=-50)
    assert places.grant(0) == [("1", "b")]


def test_a_ring_that_only_a_busy_adapter_hears_holds_nobody_up():
    places = places_with("a", "b", slots=1)
    ask(places, "1", "2", adapter="a")
    ask(places, "3", adapter="b")
    assert places.grant(0) == [("1", "a"), ("3", "b")]


def test_an_adapter_that_refused_is_left_alone_for_four_seconds():
    places = places_with("a")
    ask(places, "1")
    places.grant(0)
    places.refused("1", 0)
    places.leave("1")
    places.ask("1", 1)
    assert places.grant(FULL_SECONDS - 0.1) == []
    assert places.grant(FULL_SECONDS) == [("1", "a")]


def test_a_ring_that_is_no_longer_heard_is_not_connected():
    places = places_with("a")
    ask(places, "1")
    assert places.grant(HEARD_SECONDS) == []
    places.heard("1", "a", -50, HEARD_SECONDS)
    assert places.grant(HEARD_SECONDS) == [("1", "a")]


def test_the_longest_quiet_link_makes_room_for_a_ring_that_waited_long():
    places = places_with("a", slots=2)
    ask(places, "1", "2", "3")
    for address in ("1", "2"):
        places.grant(0)
        places.connected(address)
    places.heard("3", "a", -50, TURN_SECONDS)
    assert places.next_leaver({"1", "2"}, TURN_SECONDS - 0.1) is None
    assert places.next_leaver((), TURN_SECONDS) is None
    assert places.next_leaver({"1", "2"}, TURN_SECONDS) == "1"
    assert places.next_leaver({"1", "2"}, TURN_SECONDS) is None
    places.leave("1")
    places.heard("1", "a", -50, TURN_SECONDS)
    places.ask("1", TURN_SECONDS)
    assert places.grant(TURN_SECONDS) == [("3", "a")]


def test_those_on_a_lost_adapter_are_named_and_the_others_stay():
    places = places_with("a", "b")
    ask(places, "1", adapter="a")
    ask(places, "2", adapter="b")
    places.grant(0)
    assert places.close("a") == ["1"]
    places.leave("1")
    places.ask("1", 0)
    assert places.grant(0) == []
    assert (places.adapter_of("2"), places.links("b"), places.links("a")) == ("b", 1, 0)


class Crowd(RuleBasedStateMachine):
    """Many rings, two adapters that come and go, in any order."""

    rings = st.sampled_from([f"r{number}" for number in range(8)])
    adapters = st.sampled_from(["a", "b"])

    @initialize()
    def begin(self) -> None:
        self.places = Places(2)
        self.now = 0.0
        self.open: set[str] = set()
        self.held: dict[str, str] = {}
        self.connecting: dict[str, str] = {}

    @rule(adapter=adapters)
    def open_adapter(self, adapter: str) -> None:
        self.places.open(adapter)
        self.open.add(adapter)

    @rule(adapter=adapters)
    def close_adapter(self, adapter: str) -> None:
        lost = self.places.close(adapter)
        assert set(lost) == {ring for ring, by in self.held.items() if by == adapter}
        self.open.discard(adapter)
        for ring in lost:
            self.leave(ring)

    @rule(ring=rings, adapter=adapters, rssi=st.integers(-100, -30))
    def hear(self, ring: str, adapter: str, rssi: int) -> None:
        self.places.heard(ring, adapter, rssi, self.now)

    @rule(ring=rings)
    def want(self, ring: str) -> None:
        if ring not in self.held:
            self.places.ask(ring, self.now)

    @rule(ring=rings)
    def connected(self, ring: str) -> None:
        self.places.connected(ring)
        self.connecting.pop(ring, None)

    @rule(ring=rings)
    def leave(self, ring: str) -> None:
        self.places.leave(ring)
        self.held.pop(ring, None)
        self.connecting.pop(ring, None)

    @rule(seconds=st.floats(0, 20))
    def grant(self, seconds: float) -> None:
        self.now += seconds
        for ring, adapter in self.places.grant(self.now):
            assert ring not in self.held
            assert adapter in self.open
            self.held[ring] = self.connecting[ring] = adapter

    @rule()
    def make_room(self) -> None:
        leaver = self.places.next_leaver(self.held.keys(), self.now)
        assert leaver is None or leaver in self.held

    @invariant()
    def places_are_never_exceeded(self) -> None:
        for adapter in ("a", "b"):
            held = [ring for ring, by in self.held.items() if by == adapter]
            assert len(held) <= 2
            assert self.places.links(adapter) == len(held)
            assert sum(by == adapter for by in self.connecting.values()) <= 1


Crowd.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCrowd = Crowd.TestCase
