"""One adapter: scanning for ever, whatever the adapter does, until silence calls for more."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from core import clock, log
from firmware_bridge import gatt
from gateway.adapter import Adapter, AdapterLostError, open_adapter, power_cycle
from gateway.watchdog import Measure, Watchdog

REOPEN_BASE_SECONDS: Final = 0.25
REOPEN_MAX_SECONDS: Final = 5.0
WORKED_SECONDS: Final = 2.0  # an adapter that held so long is opened again at once
CHECK_SECONDS: Final = 5.0
STOP_SECONDS: Final = 5.0

_log = log.get("gateway.ble")


class RadioDeadError(Exception):
    """An adapter that used to work stays silent whatever is done: a new process may do better."""


class Scan:
    """The scan of one adapter; `opened`, `heard` and `lost` tell its owner."""

    def __init__(
        self,
        backend: str,
        *,
        random: Callable[[], float],
        opened: Callable[[str, Adapter], None],
        heard: Callable[[str, BLEDevice, AdvertisementData], None],
        is_linked: Callable[[str], bool],
        may_give_up: Callable[[str], bool],
        bonds: Path | None = None,
    ) -> None:
        """`backend` names the adapter in all calls; `bonds`: where a raw one keeps its bonds."""
        self.backend = backend
        self.is_scanning = False
        self.problem = ""
        self.openings = 0
        self.heard_at: float | None = None
        self.measures: Counter[Measure] = Counter()
        """What silence has called for so far."""
        self._random = random
        self._opened = opened
        self._ring_heard = heard
        self._is_linked = is_linked
        self._may_give_up = may_give_up
        self._bonds = bonds
        self._watchdog = Watchdog(clock.monotonic_seconds())
        self._restart = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        """Whether the radio has proved itself lately."""
        return self._watchdog.is_alive(clock.monotonic_seconds())

    def restart(self) -> None:
        """Begin the scan anew soon."""
        self._restart.set()

    async def run(self, closed: Callable[[str], Awaitable[None]]) -> None:
        """Scan until cancelled; `closed` ends what used the adapter. Raise RadioDeadError."""
        failures = 0
        while True:
            began = clock.monotonic_seconds()
            try:
                async with open_adapter(self.backend, self._bonds) as adapter:
                    self.openings += 1
                    self._opened(self.backend, adapter)
                    try:
                        measure = await self._use(adapter)
                    finally:
                        self.is_scanning = False
                        await closed(self.backend)
            except Exception as error:  # noqa: BLE001  # adapters fail in many ways; all end in reopening
                self.problem = str(error) or type(error).__name__
                _log.warning("adapter_lost", adapter=self.backend, reason=self.problem)
                measure = self._check()
            await self._take(measure)
            long_enough = clock.monotonic_seconds() - began > WORKED_SECONDS
            failures = 0 if long_enough else failures + 1
            ceiling = min(REOPEN_MAX_SECONDS, REOPEN_BASE_SECONDS * 2.0 ** min(failures, 10))
            await asyncio.sleep(self._random() * ceiling)

    async def _use(self, adapter: Adapter) -> Measure:
        """Scan until silence calls for a measure that needs the adapter closed."""
        lost = asyncio.ensure_future(adapter.wait_lost())
        # Only rings, so that a busy place costs nothing; after silence everybody, so that a place
        # without rings is not mistaken for a radio without ears.
        only_rings = True
        try:
            while not lost.done():
                match await self._scan(adapter, lost, only_rings):
                    case "restart_scan":
                        only_rings = False
                    case None:
                        only_rings = True
                    case measure:
                        return measure
        finally:
            lost.cancel()
        raise AdapterLostError("the adapter went away")

    async def _scan(
        self, adapter: Adapter, lost: "asyncio.Future[None]", only_rings: bool
    ) -> Measure | None:
        """Scan until the adapter is lost, a measure is due, or the scan is to begin anew."""
        began = clock.monotonic_seconds()
        scanner = BleakScanner(
            self._heard,
            service_uuids=[gatt.SERVICE] if only_rings else None,
            backend=adapter.scanner,
            bluez=adapter.bluez,
        )
        await scanner.start()
        self.is_scanning = True
        self.problem = ""
        _log.info("scan_started", adapter=self.backend, openings=self.openings)
        asked = asyncio.ensure_future(self._restart.wait())
        try:
            while not lost.done():
                await asyncio.wait(
                    {lost, asked}, timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if measure := self._check():
                    return measure
                if asked.done() or (not only_rings and (self.heard_at or 0.0) > began):
                    return None
            return None
        finally:
            self._restart.clear()
            asked.cancel()
            self.is_scanning = False
            async with asyncio.timeout(STOP_SECONDS):
                await scanner.stop()

    def _check(self) -> Measure | None:
        measure = self._watchdog.check(
            clock.monotonic_seconds(),
            is_linked=self._is_linked(self.backend),
            may_give_up=self._may_give_up(self.backend),
        )
        if measure:
            self.measures[measure] += 1
            _log.warning("radio_silent", adapter=self.backend, measure=measure)
        return measure

    async def _take(self, measure: Measure | None) -> None:
        """Do what is done with a closed adapter."""
        if measure == "give_up":
            raise RadioDeadError(f"{self.backend} hears nothing any more")
        if measure != "power_cycle":
            return
        try:
            await power_cycle(self.backend)
        except AdapterLostError as error:
            self.problem = str(error)
            _log.warning("power_cycle_failed", adapter=self.backend, reason=self.problem)

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.heard_at = clock.monotonic_seconds()
        self._watchdog.heard(self.heard_at)
        if gatt.SERVICE in advertisement.service_uuids:
            self._ring_heard(self.backend, device, advertisement)
