"""Where Bluetooth comes from: the machine's own adapters, or a Bumble host on an HCI transport."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from bleak.exc import BleakError

from core import config
from core.errors import ConfigError

BUMBLE_PREFIX: Final = "bumble:"
BLUEZ_PREFIX: Final = "bluez:"
_NO_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9.]+")
_HCI: Final = re.compile(r"hci\d{1,3}")


class AdapterLostError(Exception):
    """The adapter cannot be opened, or it went away."""


class Adapter(msgspec.Struct, frozen=True):
    """What bleak takes as `backend=` (None is the machine's own), and how a loss is noticed."""

    scanner: Any
    client: Any
    wait_lost: Callable[[], Awaitable[None]]
    hci: str = ""
    """BlueZ's name of the adapter; empty: the machine's first, or none of BlueZ."""

    @property
    def bluez(self) -> Any:  # noqa: ANN401  # bleak's TypedDicts for scanner and client differ
        """What bleak takes as `bluez=`."""
        return {"adapter": self.hci} if self.hci else {}


def backends_of(settings: config.Gateway) -> tuple[str, ...]:
    """Return the backend of each adapter."""
    return settings.adapters or (settings.ble_backend,)


def check_backends(settings: config.Gateway) -> None:
    """Raise ConfigError unless the adapters of the settings can be served."""
    name = "gateway.adapters" if settings.adapters else "gateway.ble_backend"
    backends = backends_of(settings)
    if len(set(backends)) != len(backends):
        raise ConfigError(f"{name}: an adapter is named twice")
    for backend in backends:
        check_backend(backend, name)


def check_backend(backend: str, name: str = "gateway.ble_backend") -> None:
    """Raise ConfigError unless the value of the setting `name` can be served."""
    if backend == "auto":
        return
    if backend.startswith(BLUEZ_PREFIX) and _HCI.fullmatch(backend.removeprefix(BLUEZ_PREFIX)):
        return
    if backend.removeprefix(BUMBLE_PREFIX) in ("", backend):
        raise ConfigError(
            f'{name} {backend!r}: use "auto", "bluez:hci1" or "bumble:<transport>",'
            " for example bumble:usb:0"
        )
    if find_spec("bumble") is None:
        raise ConfigError(f"{name} {backend!r} needs Bumble: run `make install`")


@asynccontextmanager
async def open_adapter(backend: str, bonds: Path | None = None) -> AsyncGenerator[Adapter]:
    """Hold an adapter open, or raise AdapterLostError.

    `bonds`: the folder where a raw adapter keeps its bonds; BlueZ keeps them itself.
    """
    if not backend.startswith(BUMBLE_PREFIX):
        # bleak opens the machine's adapter with each scanner; its loss shows as a failing scan.
        never: Any = asyncio.Event().wait
        yield Adapter(None, None, never, _hci_of(backend))
        return
    # Imported late: Bumble is an extra that a gateway with BlueZ does without.
    from firmware_bridge.virtual import bleak_backend  # noqa: PLC0415  # loaded when it is used

    try:
        name = _NO_FILE_NAME.sub("-", backend.removeprefix(BUMBLE_PREFIX))
        path = bonds / f"bonds-{name}.json" if bonds else None
        opened = await bleak_backend.open_adapter(backend, bonds=path)
    except BleakError as error:
        raise AdapterLostError(str(error)) from None
    try:
        yield Adapter(opened.scanner, opened.client, opened.wait_lost)
    finally:
        # Resets the controller: a power-cycle as far as HCI goes.
        await opened.close()


async def power_cycle(backend: str) -> None:
    """Switch an adapter that is not open off and on, or raise AdapterLostError.

    A raw HCI controller is reset whenever it is closed: there is no more to be done.
    """
    if backend.startswith(BUMBLE_PREFIX) or sys.platform != "linux":
        return
    from gateway import bluez  # noqa: PLC0415  # D-Bus exists on Linux only

    try:
        await bluez.power_cycle(_hci_of(backend))
    except bluez.BluezError as error:
        raise AdapterLostError(str(error)) from None


async def remove_device(adapter: Adapter, address: str) -> None:
    """Let the machine's Bluetooth forget a device whose connection is stuck; best effort."""
    if adapter.client is not None or sys.platform != "linux":
        return
    from gateway import bluez  # noqa: PLC0415  # same

    try:
        await bluez.remove_device(address, adapter.hci)
    except bluez.BluezError:
        return  # it did not know the device, or is away: connecting will tell


def _hci_of(backend: str) -> str:
    return backend.removeprefix(BLUEZ_PREFIX) if backend.startswith(BLUEZ_PREFIX) else ""
