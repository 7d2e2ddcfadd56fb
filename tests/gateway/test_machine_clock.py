"""A time of the past, told by the clock of now, however often that one was set in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import clock, edge
from core.edge import TapEvent
from gateway import machine_clock
from gateway.machine_clock import RESTART_DOUBT_MS, Anchor, Reading, correction

HOUR_MS = 3_600_000
EPOCH_MS = 1_800_000_000_000
STATED_MS = 5


class Machine:
    """A machine with a true time, a clock that is set, and restarts."""

    def __init__(self) -> None:
        self.true_ms = EPOCH_MS
        self.error_ms = 0
        self.boot = 1
        self.started_ms = EPOCH_MS

    def read(self) -> Reading:
        unix_ms = self.true_ms + self.error_ms
        since_start_ms = self.true_ms - self.started_ms
        return Reading(unix_ms, Anchor(str(self.boot), unix_ms - since_start_ms))


waits = st.tuples(st.just("wait"), st.integers(0, 20 * 24 * HOUR_MS))
settings_of_the_clock = st.tuples(st.just("set"), st.integers(-HOUR_MS, HOUR_MS))


@given(
    before=st.lists(settings_of_the_clock, max_size=3),
    after=st.lists(waits | settings_of_the_clock, max_size=8),
    age_ms=st.integers(0, HOUR_MS),
)
def test_settings_of_the_clock_do_not_misdate_a_tap_that_waits(before, after, age_ms):
    """Whatever the gateway's process does meanwhile: the anchor is beside the tap on disk."""
    machine = Machine()
    live(machine, before)
    true_ms = machine.true_ms - age_ms
    received = machine.read()
    error_ms = machine.error_ms
    payload = event_at(received.unix_ms - age_ms, received.unix_ms)

    live(machine, after)

    sent = send(payload, received, machine.read())
    # The clock's error of now is the hub's to see: it compares tx_ms with its own clock.
    assert abs((sent.t or 0) - machine.error_ms - true_ms) <= sent.unc_ms, error_ms
    assert sent.tx_ms == machine.true_ms + machine.error_ms
    assert sent.rx_ms - (sent.t or 0) == age_ms


@given(
    after=st.lists(waits, max_size=4),
    off_ms=st.integers(0, 20 * 24 * HOUR_MS),
    set_ms=st.integers(-HOUR_MS, 24 * HOUR_MS),
    seen_ms=st.integers(0, 24 * HOUR_MS),
)
def test_a_restart_of_the_machine_makes_a_tap_as_unsure_as_its_clock_became(
    after, off_ms, set_ms, seen_ms
):
    machine = Machine()
    true_ms = machine.true_ms
    received = machine.read()
    payload = event_at(received.unix_ms, received.unix_ms)
    live(machine, after)
    machine.true_ms += off_ms
    machine.error_ms += set_ms
    machine.boot, machine.started_ms = 2, machine.true_ms
    live(machine, [("wait", seen_ms)])

    sent = send(payload, received, machine.read())

    # As above, and also if the clock was right before and is wrong now.
    assert abs((sent.t or 0) - true_ms) <= sent.unc_ms
    assert abs((sent.t or 0) - machine.error_ms - true_ms) <= sent.unc_ms
    assert sent.unc_ms >= RESTART_DOUBT_MS
    assert sent.t == received.unix_ms


def test_a_row_of_an_earlier_version_is_as_one_of_before_a_restart():
    now = Reading(EPOCH_MS, Anchor("boot", EPOCH_MS - 1000))
    assert correction(EPOCH_MS - 5, Anchor(), now).widened_ms >= RESTART_DOUBT_MS


def test_a_clock_that_nobody_sets_changes_nothing():
    first = machine_clock.read()
    second = machine_clock.read()
    found = correction(first.unix_ms, first.anchor, second)
    assert (found.moved_ms, found.widened_ms < machine_clock.STEP_MS) == (0, True)
    assert first.anchor.machine_boot == second.anchor.machine_boot != ""


def test_a_reading_that_was_held_up_between_its_clocks_is_taken_again(monkeypatch):
    """As by SIGSTOP in the wrong place: twenty seconds later is not set by twenty seconds."""
    before = machine_clock.read()
    held_up = iter([20_000])
    true_ms = clock.since_start_ms
    late_ms = 0

    def since_start_ms() -> int:
        return true_ms() + late_ms

    unix_ms = clock.unix_ms

    def held_unix_ms() -> int:
        nonlocal late_ms
        read = unix_ms() + late_ms
        late_ms += next(held_up, 0)
        return read

    monkeypatch.setattr(clock, "since_start_ms", since_start_ms)
    monkeypatch.setattr(clock, "unix_ms", held_unix_ms)
    after = machine_clock.read()
    assert abs(after.anchor.offset_ms - before.anchor.offset_ms) < machine_clock.STEP_MS


@pytest.mark.parametrize("moved_ms", [-HOUR_MS, HOUR_MS])
def test_an_undated_tap_stays_undated(moved_ms):
    event = TapEvent(ring=bytes(8), boot=1, seq=1, raw=bytes(43), rx_ms=EPOCH_MS)
    sent = edge.decode(edge.stamp(edge.encode(event), 1, moved_ms=moved_ms), TapEvent)
    assert sent.t is None
    assert sent.rx_ms == EPOCH_MS + moved_ms


def live(machine: Machine, happenings) -> None:
    for what, amount_ms in happenings:
        if what == "wait":
            machine.true_ms += amount_ms
        else:
            machine.error_ms += amount_ms


def event_at(t_ms: int, received_ms: int) -> bytes:
    return edge.encode(
        TapEvent(
            ring=bytes(8),
            boot=1,
            seq=1,
            raw=bytes(43),
            t=t_ms,
            unc_ms=STATED_MS,
            t_src="synced",
            rx_ms=received_ms,
        )
    )


def send(payload: bytes, received: Reading, now: Reading) -> TapEvent:
    since = correction(received.unix_ms, received.anchor, now)
    stamped = edge.stamp(payload, now.unix_ms, moved_ms=since.moved_ms, widened_ms=since.widened_ms)
    return edge.decode(stamped, TapEvent)
