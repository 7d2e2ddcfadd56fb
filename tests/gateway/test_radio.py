"""Many rings on several adapters, and adapters that fall silent; all on virtual controllers."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from firmware_bridge import gatt, tap
from gateway import ble, places, radio, watchdog
from gateway.adapter import Adapter
from gateway.ble import RadioDeadError
from gateway.link import LinkState
from gateway.radio import Radio
from tests.fixtures.rings import Air, Central, eventually


class Kept:
    """A sink that keeps everything and remembers it."""

    def __init__(self) -> None:
        self.taps: set[tuple[bytes, int, int]] = set()

    def observe(self, ring: bytes, status: gatt.Status, unix_ms: int, round_trip_ms: float) -> None:
        pass

    async def store(self, ring: bytes, record: tap.TapRecord, *_: Any, **__: Any) -> bool:
        self.taps.add((ring, record.boot, record.seq))
        return True


class Hall:
    """Adapters by name on one link; an opened adapter is a central of its own."""

    def __init__(self, air: Air) -> None:
        self.air = air
        self.centrals: dict[str, Central] = {}
        self.lost: dict[str, asyncio.Event] = {}
        self.prepare: Callable[[Central], None] = lambda _central: None

    @asynccontextmanager
    async def open_adapter(self, backend: str, _bonds: object) -> AsyncIterator[Adapter]:
        central = self.centrals[backend] = await self.air.central()
        lost = self.lost[backend] = asyncio.Event()
        self.prepare(central)

        async def wait_lost() -> None:
            await lost.wait()

        try:
            yield Adapter(central.scanner, central.client, wait_lost)
        finally:
            central.controller.power_off()


@pytest.fixture
def hall(air: Air, monkeypatch) -> Hall:
    hall = Hall(air)
    monkeypatch.setattr(ble, "open_adapter", hall.open_adapter)
    monkeypatch.setattr(ble, "power_cycle", _nothing)
    monkeypatch.setattr(ble, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(radio, "MIND_SECONDS", 0.02)
    return hall


async def _nothing(_backend: str) -> None:
    pass


@asynccontextmanager
async def running(*backends: str, slots: int = 8) -> AsyncIterator[tuple[Radio, Kept]]:
    kept = Kept()
    found = Radio(backends, kept, random.random, slots=slots)
    task = asyncio.create_task(found.run())
    try:
        yield found, kept
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def live(found: Radio) -> int:
    return sum(item.link.state is LinkState.LIVE for item in found.connections.values())


async def test_two_adapters_share_the_rings_and_one_takes_over_from_the_other(hall):
    rings = [await hall.air.ring(number) for number in range(1, 5)]
    async with running("one", "two", slots=4) as (found, kept):
        await eventually(lambda: live(found) == 4, "all rings to be live")
        assert {found.places.links("one"), found.places.links("two")} == {2}
        gone = hall.centrals["two"].controller
        hall.prepare = lambda central: central.controller.power_off()
        hall.lost["two"].set()
        await eventually(lambda: gone not in hall.air.link.controllers, "the loss")
        await eventually(lambda: live(found) == 4 and found.places.links("one") == 4, "the move")
        records = [(ring, await ring.press()) for ring in rings]
        wanted = {(ring.ring_id, record.boot, record.seq) for ring, record in records}
        await eventually(lambda: wanted <= kept.taps, "the taps")


async def test_more_rings_than_places_take_turns(hall, monkeypatch):
    monkeypatch.setattr(places, "TURN_SECONDS", 0.1)
    rings = [await hall.air.ring(number) for number in range(1, 6)]
    for ring in rings:
        await ring.press()
    async with running("one", slots=2) as (found, kept):
        await eventually(lambda: len(kept.taps) == 5, "the taps of all rings", 15)
        assert found.places.links("one") <= 2
        for ring in rings:
            await ring.press()
        await eventually(lambda: len(kept.taps) == 10, "a second turn of all", 15)


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Silence is judged in parts of a second."""
    monkeypatch.setattr(watchdog, "RESTART_SECONDS", 0.3)
    monkeypatch.setattr(watchdog, "POWER_CYCLE_SECONDS", 0.9)
    monkeypatch.setattr(watchdog, "GIVE_UP_SECONDS", 1.5)


async def test_a_scan_that_stopped_by_itself_is_started_again(hall, impatient):
    async with running("one") as (found, _):
        (scan,) = found.scans
        await eventually(lambda: scan.is_scanning, "the scan")
        hall.centrals["one"].controller.le_scan_enable = False
        await hall.air.ring(1)
        await eventually(lambda: live(found) == 1, "the ring")
        assert scan.measures["restart_scan"] >= 1
        assert scan.openings == 1


async def test_a_controller_that_is_stuck_until_its_reset_is_power_cycled(hall, impatient):
    def deafen(central: Central) -> None:
        if len(hall.lost) == 1 and scan_of[0].openings == 0:
            central.controller.on_advertising_pdu = lambda _pdu: None

    async with running("one") as (found, _):
        scan_of = found.scans
        hall.prepare = deafen
        await hall.air.ring(1)
        await eventually(lambda: live(found) == 1, "the ring")
        assert found.scans[0].measures["power_cycle"] == 1
        assert found.scans[0].openings == 2


async def test_a_radio_that_stays_silent_ends_the_process_for_its_supervisor(hall, impatient):
    ring = await hall.air.ring(1)
    found = Radio(["one"], Kept(), random.random, slots=8)
    task = asyncio.create_task(found.run())
    await eventually(lambda: live(found) == 1, "the ring")
    await ring.stop()
    hall.air.rings.remove(ring)
    hall.centrals["one"].controller.lose_links()
    with pytest.raises(ExceptionGroup) as errors:
        await asyncio.wait_for(task, 10)
    assert errors.group_contains(RadioDeadError)
    assert found.scans[0].measures["power_cycle"] >= 1


async def test_one_dead_adapter_leaves_the_other_at_work(hall, impatient):
    await hall.air.ring(1)
    ring = await hall.air.ring(2)
    async with running("one", "two", slots=1) as (found, kept):
        await eventually(lambda: live(found) == 2, "the rings")
        dead = next(
            scan
            for scan in found.scans
            if found.places.adapter_of(str(ring.address)) != scan.backend
        )
        hall.prepare = lambda central: setattr(
            central.controller, "on_advertising_pdu", lambda _pdu: None
        )
        hall.lost[dead.backend].set()
        await eventually(lambda: dead.measures["power_cycle"] >= 3, "the attempts to revive it", 10)
        await ring.press()
        await eventually(lambda: (ring.ring_id, 1, 1) in kept.taps, "the tap")


async def test_devices_that_are_no_rings_prove_the_radio(hall, impatient):
    stranger = await hall.air.central()
    await stranger.device.start_advertising(
        advertising_interval_min=50.0, advertising_interval_max=50.0
    )
    async with running("one") as (found, _):
        (scan,) = found.scans
        await eventually(lambda: scan.measures["restart_scan"] >= 4, "the restarts")
        assert scan.measures["power_cycle"] == 0
        assert not found.connections
