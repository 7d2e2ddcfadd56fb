"""The rings in reach of one adapter: scanning for ever, whatever the adapter does."""

import asyncio
from collections.abc import Callable
from typing import Final

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from core import clock, log
from firmware_bridge import gatt
from gateway.adapter import Adapter, AdapterLostError, open_adapter
from gateway.connection import RingConnection, Sink
from gateway.watchdog import Watchdog

REOPEN_BASE_SECONDS: Final = 0.25
REOPEN_MAX_SECONDS: Final = 5.0
WORKED_SECONDS: Final = 2.0  # an adapter that held so long is opened again at once
CHECK_SECONDS: Final = 5.0

_log = log.get("gateway.ble")


class Radio:
    """Keeps links to all rings that one adapter hears."""

    def __init__(self, backend: str, sink: Sink, random: Callable[[], float]) -> None:
        """`backend` is the setting `gateway.ble_backend`."""
        self.connections: dict[str, RingConnection] = {}
        self.is_scanning = False
        self.problem = ""
        self.openings = 0
        self.heard_at: float | None = None
        self._backend = backend
        self._sink = sink
        self._random = random
        self._watchdog = Watchdog()

    async def run(self) -> None:
        """Scan and connect until cancelled."""
        failures = 0
        while True:
            began = clock.monotonic_seconds()
            try:
                async with open_adapter(self._backend) as adapter:
                    self.openings += 1
                    await self._use(adapter)
            except Exception as error:  # noqa: BLE001  # adapters fail in many ways; all end in reopening
                self.problem = str(error) or type(error).__name__
                _log.warning("adapter_lost", reason=self.problem)
            finally:
                self.is_scanning = False
                await self._close_connections()
            long_enough = clock.monotonic_seconds() - began > WORKED_SECONDS
            failures = 0 if long_enough else failures + 1
            ceiling = min(REOPEN_MAX_SECONDS, REOPEN_BASE_SECONDS * 2.0 ** min(failures, 10))
            await asyncio.sleep(self._random() * ceiling)

    async def _use(self, adapter: Adapter) -> None:
        turn = asyncio.Lock()

        def heard(device: BLEDevice, advertisement: AdvertisementData) -> None:
            self._heard(device, advertisement, adapter, turn)

        lost = asyncio.ensure_future(adapter.wait_lost())
        self._watchdog.restarted(clock.monotonic_seconds())
        try:
            while not lost.done():
                await self._scan(adapter, heard, lost)
        finally:
            lost.cancel()
        raise AdapterLostError("the adapter went away")

    async def _scan(
        self,
        adapter: Adapter,
        heard: Callable[[BLEDevice, AdvertisementData], None],
        lost: "asyncio.Future[None]",
    ) -> None:
        scanner = BleakScanner(heard, service_uuids=[gatt.SERVICE], backend=adapter.scanner)
        await scanner.start()
        self.is_scanning = True
        self.problem = ""
        _log.info("scan_started", openings=self.openings)
        try:
            while not lost.done():
                await asyncio.wait({lost}, timeout=CHECK_SECONDS)
                now = clock.monotonic_seconds()
                await self._forget_silent(now)
                is_linked = any(item.link.is_linked for item in self.connections.values())
                match self._watchdog.check(now, is_linked=is_linked):
                    case "restart_scan":
                        _log.info("scan_silent")
                        return
                    case "reopen_adapter":
                        raise AdapterLostError("nothing heard for long")
                    case None:
                        pass
        finally:
            self.is_scanning = False
            async with asyncio.timeout(CHECK_SECONDS):
                await scanner.stop()

    def _heard(
        self,
        device: BLEDevice,
        advertisement: AdvertisementData,
        adapter: Adapter,
        turn: asyncio.Lock,
    ) -> None:
        self.heard_at = clock.monotonic_seconds()
        self._watchdog.heard(self.heard_at)
        connection = self.connections.get(device.address)
        if connection is None:
            connection = self.connections[device.address] = RingConnection(
                sink=self._sink, turn=turn, client_backend=adapter.client, random=self._random
            )
        connection.seen(device, advertisement.rssi)

    async def _forget_silent(self, now: float) -> None:
        silent = [a for a, item in self.connections.items() if item.link.is_forgettable(now)]
        for address in silent:
            await self.connections.pop(address).close()

    async def _close_connections(self) -> None:
        connections, self.connections = self.connections, {}
        await asyncio.gather(*(connection.close() for connection in connections.values()))
