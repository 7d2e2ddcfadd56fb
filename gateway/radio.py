"""All rings in reach of all adapters, each connected once, over the adapter that suits it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from core import clock, log
from gateway import link
from gateway.adapter import Adapter
from gateway.ble import Scan
from gateway.connection import RingConnection, Sink
from gateway.places import Places
from gateway.ring_claims import Confirmations

MIND_SECONDS: Final = 1.0

_log = log.get("gateway.ble")


class Radio:
    """Keeps links to the rings that the adapters hear."""

    def __init__(
        self,
        backends: Sequence[str],
        sink: Sink,
        random: Callable[[], float],
        *,
        slots: int,
        bonds: Path | None = None,
    ) -> None:
        """`backends` as in the setting `gateway.adapters`; `slots` per adapter."""
        self.connections: dict[str, RingConnection] = {}
        """By Bluetooth address."""
        self.places = Places(slots)
        self.confirmations = Confirmations()
        self.scans = [
            Scan(
                backend,
                random=random,
                opened=self._opened,
                heard=self._heard,
                is_linked=self._is_linked,
                may_give_up=self._may_give_up,
                bonds=bonds,
            )
            for backend in backends
        ]
        self._sink = sink
        self._random = random
        self._adapters: dict[str, Adapter] = {}
        self._devices: dict[tuple[str, str], BLEDevice] = {}
        self._turns: dict[str, asyncio.Future[str]] = {}

    async def run(self) -> None:
        """Scan and connect until cancelled; raise RadioDeadError when only a restart may help."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mind())
            for scan in self.scans:
                tasks.create_task(scan.run(self._closed))

    def rescan(self) -> None:
        """Begin all scans anew."""
        for scan in self.scans:
            scan.restart()

    def connection_of(self, ring: bytes) -> RingConnection | None:
        """Return the standing connection to a ring."""
        found = (item for item in self.connections.values() if item.ring == ring)
        return next((item for item in found if item.link.is_linked), None)

    # The door of gateway.connection.

    async def enter(self, address: str) -> tuple[Adapter, BLEDevice]:
        """Wait for a turn."""
        turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._turns[address] = turn
        self.places.ask(address, clock.monotonic_seconds())
        self._grant()
        backend = await turn
        adapter, device = self._adapters.get(backend), self._devices.get((backend, address))
        if adapter is None or device is None:
            raise BleakError("the adapter went away")
        return adapter, device

    def connected(self, address: str, *, refused: bool) -> None:
        """Let the next one connect."""
        if refused:
            self.places.refused(address, clock.monotonic_seconds())
        self.places.connected(address)
        self._grant()

    def leave(self, address: str) -> None:
        """Give a place to the next one."""
        self._turns.pop(address, None)
        self.places.leave(address)
        self._grant()

    def _grant(self) -> None:
        for address, backend in self.places.grant(clock.monotonic_seconds()):
            turn = self._turns.pop(address, None)
            if turn is None or turn.done():
                self.places.leave(address)
            else:
                turn.set_result(backend)

    def _opened(self, backend: str, adapter: Adapter) -> None:
        self._adapters[backend] = adapter
        self.places.open(backend)

    async def _closed(self, backend: str) -> None:
        self._adapters.pop(backend, None)
        addresses = self.places.close(backend)
        self._devices = {key: item for key, item in self._devices.items() if key[0] != backend}
        await asyncio.gather(*(self._drop(address) for address in addresses))

    def _heard(self, backend: str, device: BLEDevice, advertisement: AdvertisementData) -> None:
        address = device.address
        now = clock.monotonic_seconds()
        self._devices[backend, address] = device
        self.places.heard(address, backend, advertisement.rssi, now)
        connection = self.connections.get(address)
        if connection is None:
            connection = self.connections[address] = RingConnection(
                address,
                sink=self._sink,
                door=self,
                random=self._random,
                confirmations=self.confirmations,
            )
        connection.seen(advertisement.rssi)
        if address in self._turns:
            self._grant()

    async def _mind(self) -> None:
        """Forget rings that are gone, let waiting ones in."""
        while True:
            await asyncio.sleep(MIND_SECONDS)
            now = clock.monotonic_seconds()
            gone = [a for a, item in self.connections.items() if item.link.is_forgettable(now)]
            for address in gone:
                await self._drop(address)
                self.places.forget(address)
                self._devices = {key: it for key, it in self._devices.items() if key[1] != address}
            self._grant()
            quiet = {a for a, item in self.connections.items() if item.is_quiet}
            if leaver := self.places.next_leaver(quiet, now):
                self.connections[leaver].feed(link.Yield())

    async def _drop(self, address: str) -> None:
        if connection := self.connections.pop(address, None):
            await connection.close()

    def _is_linked(self, backend: str) -> bool:
        return any(
            item.link.is_linked and self.places.adapter_of(address) == backend
            for address, item in self.connections.items()
        )

    def _may_give_up(self, backend: str) -> bool:
        """Whether no other adapter would lose by a new start."""
        others = [scan for scan in self.scans if scan.backend != backend]
        return not any(scan.is_alive for scan in others)
