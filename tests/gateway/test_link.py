"""The link to a ring: its states one by one, then a model ring that tries to lose taps."""

from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware_bridge.gatt import Status
from gateway import link
from gateway.link import LinkState, RingLink


def status(boot: int, last: int, oldest: int, pending: int) -> link.StatusRead:
    return link.StatusRead(
        Status(boot=boot, last_seq=last, oldest_unacked=oldest, uptime_ms=1000, pending=pending)
    )


def subscribed_link(now: float = 0.0) -> RingLink:
    ring = RingLink(lambda: 0.5)
    ring.feed(link.Seen(), now)
    ring.feed(link.ConnectStarted(), now)
    ring.feed(link.Connected(), now)
    ring.feed(link.Discovered(mtu=247), now)
    assert ring.feed(link.Subscribed(), now) == [link.ReadStatus()]
    return ring


def store(ring: RingLink, boot: int, seq: int, now: float = 0.0) -> list[link.Action]:
    ring.feed(link.Received(boot, seq), now)
    return ring.feed(link.Stored(boot, seq), now)


def test_a_seen_ring_is_connected_discovered_subscribed_and_asked_how_it_stands():
    ring = RingLink(lambda: 0.5)
    assert ring.feed(link.Seen(), 0) == [link.Connect()]
    assert ring.state is LinkState.SEEN
    assert ring.feed(link.ConnectStarted(), 3) == []
    assert ring.state is LinkState.CONNECTING
    assert ring.feed(link.Connected(), 4) == [link.Discover()]
    assert ring.feed(link.Discovered(mtu=46), 4) == [link.Subscribe()]
    assert ring.feed(link.Subscribed(), 4) == [link.ReadStatus()]
    assert ring.feed(status(1, 64, 0, 0), 4) == []
    assert ring.state is LinkState.LIVE


def test_a_ring_in_the_queue_of_the_adapter_has_no_time_limit():
    ring = RingLink(lambda: 0.5)
    ring.feed(link.Seen(), 0)
    assert ring.deadline is None
    assert ring.feed(link.Seen(), 1) == []


def test_an_mtu_below_46_is_refused_and_not_tried_again_soon():
    ring = RingLink(lambda: 0.5)
    for event in (link.Seen(), link.ConnectStarted(), link.Connected()):
        ring.feed(event, 0)
    assert ring.feed(link.Discovered(mtu=45), 0) == [link.Disconnect("mtu_too_small")]
    ring.feed(link.Disconnected(), 0)
    assert ring.state is LinkState.BACKOFF
    assert ring.deadline == 30.0


def test_connecting_to_an_absent_ring_ends_at_its_time_out():
    ring = RingLink(lambda: 0.5)
    ring.feed(link.Seen(), 0)
    ring.feed(link.ConnectStarted(), 5)
    assert ring.feed(link.Tick(), 14.9) == []
    assert ring.feed(link.Tick(), 15) == [link.Disconnect("timeout")]


def test_backoff_grows_with_full_jitter_up_to_a_minute_and_ends_waiting_for_the_ring():
    drawn = iter([1.0] * 12)
    ring = RingLink(lambda: next(drawn))
    delays: list[float] = []
    for _ in range(10):
        ring.feed(link.Seen(), 0)
        ring.feed(link.ConnectFailed(), 0)
        assert ring.deadline is not None
        delays.append(ring.deadline)
        ring.feed(link.Tick(), ring.deadline)
        assert ring.state is LinkState.UNKNOWN
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_adapter_without_slots_is_left_alone_for_four_seconds():
    ring = RingLink(lambda: 0.0)
    ring.feed(link.Seen(), 10)
    ring.feed(link.ConnectFailed(no_slots=True), 10)
    assert ring.deadline == 14


def test_a_lost_link_waits_until_the_old_connection_is_cleared_away():
    ring = subscribed_link()
    assert ring.feed(link.OperationFailed("att"), 1) == [link.Disconnect("att")]
    assert ring.state is LinkState.LOST
    assert ring.feed(link.Seen(), 1) == []
    ring.feed(link.Disconnected(), 1)
    assert ring.state is LinkState.BACKOFF


def test_a_live_link_proves_itself_and_is_lost_when_the_ring_falls_silent():
    ring = subscribed_link()
    ring.feed(status(1, 64, 0, 0), 0)
    assert ring.feed(link.Tick(), link.STATUS_SECONDS) == [link.ReadStatus()]
    later = link.STATUS_SECONDS + link.OPERATION_SECONDS
    assert ring.feed(link.Tick(), later) == [link.Disconnect("timeout")]


@pytest.mark.req("RNG-05")
def test_a_live_tap_that_overtakes_the_replay_does_not_erase_older_ones():
    ring = subscribed_link()
    assert ring.feed(status(1, 3, 1, 3), 0) == [link.StartReplay()]
    assert store(ring, 1, 4) == []
    assert store(ring, 1, 1) == [link.WriteAck(1, 1)]
    ring.feed(link.AckWritten(), 0)
    assert store(ring, 1, 3) == []
    assert store(ring, 1, 2) == [link.WriteAck(1, 4)]


@pytest.mark.req("RNG-05")
def test_a_younger_boot_is_not_acknowledged_before_every_older_boot_is_stored():
    ring = subscribed_link()
    ring.feed(status(2, 66, 1, 4), 0)
    assert store(ring, 2, 65) == []
    assert store(ring, 2, 66) == []
    assert store(ring, 1, 1) == [link.WriteAck(1, 1)]
    assert store(ring, 1, 2) == []  # the first mark is still being written
    assert ring.feed(link.AckWritten(), 0) == [link.WriteAck(1, 2)]
    assert ring.feed(link.AckWritten(), 0) == [link.WriteAck(2, 66)]


@pytest.mark.req("RNG-05")
def test_nothing_is_acknowledged_before_it_is_stored():
    ring = subscribed_link()
    ring.feed(status(1, 0, 0, 0), 0)
    assert ring.feed(link.Received(1, 1), 0) == []
    assert ring.feed(link.Stored(1, 1), 0) == [link.WriteAck(1, 1)]


def test_a_record_that_the_disk_refused_is_asked_for_again():
    ring = subscribed_link()
    ring.feed(status(1, 0, 0, 0), 0)
    ring.feed(link.Received(1, 1), 0)
    ring.feed(link.Received(1, 2), 0)
    ring.feed(link.StoreFailed(1, 1), 0)
    assert ring.feed(link.Stored(1, 2), 0) == []
    assert ring.feed(link.Tick(), 0) == [link.ReadStatus()]
    assert ring.feed(status(1, 2, 1, 2), 0) == [link.StartReplay()]
    assert store(ring, 1, 1) == [link.WriteAck(1, 2)]


def test_a_disk_that_keeps_refusing_is_asked_ever_more_slowly():
    ring = subscribed_link()
    ring.feed(status(1, 0, 0, 0), 0)
    now, pauses = 0.0, []
    for _ in range(12):
        ring.feed(link.Received(1, 1), now)
        ring.feed(link.StoreFailed(1, 1), now)
        if ring.deadline is not None and not ring.feed(link.Tick(), now):
            pauses.append(ring.deadline - now)
            now = ring.deadline
            assert ring.feed(link.Tick(), now) == [link.ReadStatus()]
        assert ring.feed(status(1, 1, 1, 1), now) == [link.StartReplay()]
        ring.feed(link.ReplayDone(), now)
    assert pauses == sorted(pauses)
    assert pauses[-1] == link.BACKOFF_MAX_SECONDS


def test_a_notification_lost_on_the_way_is_found_by_the_gap_behind_it():
    ring = subscribed_link()
    ring.feed(status(1, 0, 0, 0), 0)
    assert store(ring, 1, 2) == []
    assert ring.feed(link.Tick(), 0) == [link.ReadStatus()]
    assert ring.feed(status(1, 2, 1, 2), 0) == [link.StartReplay()]
    assert store(ring, 1, 1) == [link.WriteAck(1, 2)]


def test_what_another_gateway_has_acknowledged_is_not_waited_for():
    ring = subscribed_link()
    ring.feed(status(1, 0, 0, 0), 0)
    store(ring, 1, 5)
    assert ring.feed(link.Tick(), 0) == [link.ReadStatus()]
    assert ring.feed(status(1, 5, 5, 1), 0) == [link.WriteAck(1, 5)]
    assert ring.state is LinkState.LIVE


class ModelRing:
    """The harshest ring the contract allows: an acknowledgement erases all that is older."""

    def __init__(self) -> None:
        self.boot = 1
        self.last_seq = 0
        self.kept: list[tuple[int, int]] = []
        self.forgotten: set[tuple[int, int]] = set()

    def tap(self) -> tuple[int, int]:
        self.last_seq += 1
        self.kept.append((self.boot, self.last_seq))
        return self.kept[-1]

    def reboot(self) -> None:
        self.boot += 1
        self.last_seq += 17

    def acknowledge(self, boot: int, seq: int) -> None:
        gone = [key for key in self.kept if key <= (boot, seq)]
        self.forgotten.update(gone)
        self.kept = [key for key in self.kept if key > (boot, seq)]

    def status(self) -> link.StatusRead:
        oldest = self.kept[0][1] if self.kept else 0
        return status(self.boot, self.last_seq, oldest, len(self.kept))


class LinkMachine(RuleBasedStateMachine):
    """Taps, replays, lost notifications, refusing disks, restarts on both sides, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ring = ModelRing()
        self.disk: set[tuple[int, int]] = set()
        self.emitted: set[tuple[int, int]] = set()
        self._fresh_gateway()

    def _fresh_gateway(self) -> None:
        self.link = RingLink(lambda: 0.0)
        self.todo: deque[link.Action] = deque()
        self._hang_up()
        self.committing: deque[tuple[int, int]] = deque()

    def _hang_up(self) -> None:
        self.notifying = False
        self.air: deque[Any] = deque()
        # A connect that waits for its turn is always reported, whatever else happens.
        self.todo = deque(item for item in self.todo if isinstance(item, link.Connect))

    def _feed(self, event: link.Event) -> None:
        for action in self.link.feed(event, self.now):
            if isinstance(action, link.Disconnect):
                self._hang_up()
            self.todo.append(action)

    @rule()
    def tap(self) -> None:
        key = self.ring.tap()
        self.emitted.add(key)
        if self.notifying:
            self.air.append(link.Received(*key))

    @rule(steps=st.integers(1, 12))
    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self._step()

    @rule()
    def hear(self) -> None:
        self._feed(link.Seen())

    @precondition(lambda self: self.todo)
    @rule()
    def perform(self) -> None:
        match self.todo.popleft():
            case link.Connect():
                self._feed(link.ConnectStarted())
                self._feed(link.Connected())
            case link.Discover():
                self._feed(link.Discovered(mtu=247))
            case link.Subscribe():
                self.notifying = True
                self._feed(link.Subscribed())
            case link.ReadStatus():
                self._feed(self.ring.status())
            case link.StartReplay():
                self.air.extend(link.Received(*key) for key in self.ring.kept)
                self.air.append(link.ReplayDone())
            case link.WriteAck(boot, seq):
                self.ring.acknowledge(boot, seq)
                self._feed(link.AckWritten())
            case link.Disconnect():
                self._feed(link.Disconnected())

    @precondition(lambda self: self.air)
    @rule()
    def notify(self) -> None:
        event = self.air.popleft()
        if isinstance(event, link.Received):
            self.committing.append((event.boot, event.seq))
        self._feed(event)

    @precondition(lambda self: self.air)
    @rule()
    def lose_a_notification(self) -> None:
        if isinstance(self.air[0], link.Received):
            self.air.popleft()

    @precondition(lambda self: self.committing)
    @rule()
    def commit(self) -> None:
        key = self.committing.popleft()
        self.disk.add(key)
        self._feed(link.Stored(*key))

    @precondition(lambda self: self.committing)
    @rule()
    def refuse(self) -> None:
        self._feed(link.StoreFailed(*self.committing.popleft()))

    @rule()
    def lose_the_link(self) -> None:
        self._hang_up()
        self._feed(link.Disconnected())

    @rule()
    def restart_the_ring(self) -> None:
        self.ring.reboot()
        self._hang_up()
        self._feed(link.Disconnected())

    @rule()
    def kill_the_gateway(self) -> None:
        self._fresh_gateway()

    @rule()
    def let_another_gateway_take_some(self) -> None:
        if self.ring.kept:
            boot, seq = self.ring.kept[0]
            self.disk.add((boot, seq))
            self.ring.acknowledge(boot, seq)

    @rule()
    def wait(self) -> None:
        self.now = max(self.now, self.link.deadline or self.now)
        self._feed(link.Tick())

    @invariant()
    def what_the_ring_forgot_is_on_disk(self) -> None:
        assert self.ring.forgotten <= self.disk

    def _step(self) -> None:
        """Do what happens next when nothing goes wrong."""
        if self.todo:
            self.perform()
        elif self.air:
            self.notify()
        elif self.committing:
            self.commit()
        elif self.link.state is LinkState.UNKNOWN:
            self.hear()
        else:
            self.wait()

    def teardown(self) -> None:
        """Without further faults everything arrives and the ring is empty."""
        for _ in range(20_000):
            if not self.ring.kept and self.link.state is LinkState.LIVE:
                break
            self._step()
            self.what_the_ring_forgot_is_on_disk()
        assert not self.ring.kept
        assert self.emitted == self.disk


TestLinkMachine = pytest.mark.req("RNG-05")(LinkMachine.TestCase)
TestLinkMachine.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def pairing_link() -> RingLink:
    ring = RingLink(lambda: 0.5)
    for event in (link.Seen(), link.ConnectStarted(), link.Connected()):
        ring.feed(event, 0)
    assert ring.feed(link.EncryptionRequired(), 1) == [link.Pair()]
    assert ring.state is LinkState.PAIRING
    return ring


def refused(ring: RingLink, now: float) -> list[link.Action]:
    ring.feed(link.Disconnected(), now)
    ring.feed(link.Tick(), now + 90)
    for event in (link.Seen(), link.ConnectStarted(), link.Connected()):
        ring.feed(event, now + 100)
    assert ring.feed(link.EncryptionRequired(), now + 100) == [link.Pair()]
    return ring.feed(link.PairingFailed(), now + 100)


def test_a_ring_that_demands_encryption_is_paired_and_then_discovered_again():
    ring = pairing_link()
    assert ring.feed(link.Paired(), 2) == [link.Discover()]
    assert ring.state is LinkState.DISCOVERING
    assert ring.feed(link.Discovered(mtu=247), 2) == [link.Subscribe()]


def test_pairing_ends_at_its_time_out():
    ring = pairing_link()
    assert ring.feed(link.Tick(), 30.9) == []
    assert ring.feed(link.Tick(), 31) == [link.Disconnect("timeout")]


def test_a_bond_that_the_ring_has_lost_is_forgotten_once_and_then_only_waited():
    ring = pairing_link()
    assert ring.feed(link.PairingFailed(), 2) == [link.ForgetBond(), link.Disconnect("auth_failed")]
    for now in (200, 400, 600):
        assert refused(ring, now) == [link.Disconnect("auth_failed")]
    ring.feed(link.Disconnected(), 700)
    assert ring.deadline == 730


def test_encryption_that_the_ring_does_not_honour_is_a_failed_pairing():
    ring = pairing_link()
    ring.feed(link.Paired(), 2)
    assert ring.feed(link.EncryptionRequired(), 3)[-1] == link.Disconnect("auth_failed")


def test_a_ring_that_leaves_three_times_before_a_word_may_have_lost_its_bond():
    ring = RingLink(lambda: 0.0)
    for number in (1, 2, 3):
        for event in (link.Tick(), link.Seen(), link.ConnectStarted(), link.Connected()):
            ring.feed(event, number * 100)
        actions = ring.feed(link.Disconnected(), number * 100)
        assert (link.ForgetBond() in actions) == (number == 3)
        ring.feed(link.Disconnected(), number * 100)
