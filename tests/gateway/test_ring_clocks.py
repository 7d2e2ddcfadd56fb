"""What is known of rings' clocks follows the gateway's own, over its restarts too."""

import pytest

from core import clock
from firmware_bridge.gatt import Status
from firmware_bridge.tap import TapRecord
from gateway import machine_clock
from gateway.machine_clock import RESTART_DOUBT_MS, Anchor
from gateway.ring_clocks import RingClocks

RING = b"ring-001"
HOUR_MS = 3_600_000


@pytest.fixture
def kept() -> bytes:
    """What a gateway keeps that has seen boot 3 of the ring at an uptime of ten seconds."""
    state = RingClocks().observe(RING, status_of(3, 10_000), clock.unix_ms(), 4.0)
    assert state is not None
    return state


@pytest.mark.parametrize("moved_ms", [-HOUR_MS, HOUR_MS])
def test_a_clock_that_was_set_while_no_gateway_ran_takes_what_was_kept_along(
    kept, monkeypatch, moved_ms
):
    true_ms = clock.unix_ms
    monkeypatch.setattr(clock, "unix_ms", lambda: true_ms() + moved_ms)
    clocks = RingClocks()
    clocks.load({RING: kept})
    now = machine_clock.read()

    when = clocks.date(RING, record_of(3, 10_000), now, live=False)
    older = clocks.date(RING, record_of(4, 1_000), now, live=False)

    assert abs((when.unix_ms or 0) - now.unix_ms) < 1_000
    assert when.uncertainty_ms < 1_000
    assert abs((older.unix_ms or 0) - now.unix_ms) < 2_000


def test_after_a_restart_of_the_machine_what_was_kept_is_as_unsure_as_its_clock(kept, monkeypatch):
    read = machine_clock.read
    monkeypatch.setattr(
        machine_clock,
        "read",
        lambda: machine_clock.Reading(
            read().unix_ms, Anchor("another boot", read().anchor.offset_ms)
        ),
    )
    clocks = RingClocks()
    clocks.load({RING: kept})
    now = machine_clock.read()

    pinned = clocks.date(RING, record_of(3, 10_000), now, live=False)
    bounded = clocks.date(RING, record_of(4, 1_000), now, live=False)

    assert pinned.uncertainty_ms >= RESTART_DOUBT_MS
    assert bounded.uncertainty_ms >= RESTART_DOUBT_MS / 2
    # The next look at the ring makes the clock sure again.
    clocks.observe(RING, status_of(3, 20_000), now.unix_ms, 4.0)
    assert clocks.date(RING, record_of(3, 20_000), now, live=True).uncertainty_ms < 10


@pytest.mark.parametrize("state", [b"", b"\xff", b"\x93\x01\x02\x03"])
def test_what_cannot_be_read_is_learnt_anew(state):
    clocks = RingClocks()
    clocks.load({RING: state})
    when = clocks.date(RING, record_of(1, 0), machine_clock.read(), live=False)
    assert when.source == "none"


def status_of(boot: int, uptime_ms: int) -> Status:
    return Status(boot=boot, last_seq=0, oldest_unacked=0, uptime_ms=uptime_ms, pending=0)


def record_of(boot: int, uptime_ms: int) -> TapRecord:
    return TapRecord(kind="tap_to_phone", boot=boot, seq=1, uptime_ms=uptime_ms)
