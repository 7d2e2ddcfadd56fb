"""What is asked of BlueZ, answered by a service of its names on a private D-Bus."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dbus_fast import BusType, DBusError, ErrorType
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

from gateway import adapter, bluez
from gateway.adapter import Adapter, AdapterLostError

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="needs dbus-daemon")


class FakeAdapter(ServiceInterface):
    """org.bluez.Adapter1 as far as it is used; remembers what happened."""

    def __init__(self) -> None:
        super().__init__(bluez.ADAPTER)
        self.powered = True
        self.history: list[object] = []
        self.is_stuck = False

    @dbus_property()
    def Powered(self) -> "b":  # noqa: F821, N802  # D-Bus names and signatures
        return self.powered

    @Powered.setter
    def Powered(self, value: "b") -> None:  # noqa: F821, N802  # same
        self.history.append(value)
        if not self.is_stuck:
            self.powered = value

    @dbus_method()
    def RemoveDevice(self, device: "o") -> None:  # noqa: F821, N802  # same
        if not device.endswith("dev_C0_00_00_00_00_01"):
            raise DBusError(ErrorType.FAILED, "Does Not Exist")
        self.history.append(device)


@pytest.fixture
def bus_address(tmp_path: Path, monkeypatch) -> Iterator[str]:
    process = subprocess.Popen(
        [
            "dbus-daemon",
            "--session",
            "--nofork",
            "--print-address=1",
            f"--address=unix:dir={tmp_path}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture
async def hci1(bus_address: str) -> AsyncIterator[FakeAdapter]:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    fake = FakeAdapter()
    bus.export("/org/bluez/hci1", fake)
    await bus.request_name(bluez.SERVICE)
    yield fake
    bus.disconnect()


async def test_an_adapter_is_switched_off_and_on(hci1):
    await bluez.power_cycle("hci1", off_seconds=0)
    assert hci1.history == [False, True]


async def test_without_a_name_the_first_adapter_is_taken(hci1):
    await bluez.power_cycle(off_seconds=0)
    assert hci1.history == [False, True]


async def test_an_adapter_that_does_not_switch_is_told(hci1, monkeypatch):
    monkeypatch.setattr(bluez, "ANSWER_SECONDS", 0.3)
    hci1.is_stuck = True
    with pytest.raises(AdapterLostError, match="does not switch off"):
        await adapter.power_cycle("bluez:hci1")


async def test_an_unknown_adapter_and_a_missing_bluez_are_told(hci1, monkeypatch):
    with pytest.raises(AdapterLostError, match="Set"):
        await adapter.power_cycle("bluez:hci7")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    with pytest.raises(AdapterLostError, match="no D-Bus"):
        await adapter.power_cycle("auto")


async def test_a_stuck_device_is_forgotten_and_an_unknown_one_is_no_fault(hci1):
    never = asyncio.Event().wait
    found = Adapter(None, None, never, "hci1")  # pyright: ignore[reportArgumentType]
    await adapter.remove_device(found, "c0:00:00:00:00:01")
    await adapter.remove_device(found, "c0:00:00:00:00:02")
    assert hci1.history == ["/org/bluez/hci1/dev_C0_00_00_00_00_01"]


async def test_a_raw_controller_is_not_asked_of_bluez():
    await adapter.power_cycle("bumble:usb:0")
