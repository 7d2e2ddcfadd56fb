"""bleak on Bumble: run a plain bleak central on a virtual radio or on a raw HCI dongle.

The code under test stays ordinary bleak; only `backend=` differs:

    adapter = await open_adapter("bumble:tcp-client:127.0.0.1:9544")
    device = await BleakScanner.find_device_by_filter(is_ring, backend=adapter.scanner)
    async with BleakClient(device, backend=adapter.client, timeout=10) as client:
        await client.start_notify(gatt.TAP, on_tap)
    ...
    await adapter.wait_lost()   # the HCI transport ended: close the adapter, open a new one
    await adapter.close()

Contract: a connect ends at its `timeout` (counted from when the radio is free: an adapter carries
one pending connect, others queue) with BleakDeviceNotFoundError and leaves nothing pending in the
controller, also when the caller is cancelled; every failure of an operation is a BleakError;
whether the link is gone is told by `is_connected`, not by the text of the error; the disconnected
callback runs once per connection, whoever ended it, also when the transport is lost.
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bumble import core, hci
from bumble.device import Device
from bumble.transport import open_transport
from bumble.transport.common import Transport, TransportLostError

from firmware_bridge.virtual.bonds import Bonds
from firmware_bridge.virtual.central_client import Client
from firmware_bridge.virtual.central_radio import (
    COMMAND_SECONDS,
    AdapterUnavailableError,
    radio_of,
)
from firmware_bridge.virtual.central_scanner import Scanner
from firmware_bridge.virtual.quiet_host import QuietHost, shorten_notifications

__all__ = ["Adapter", "AdapterUnavailableError", "backends_for", "open_adapter", "power_on"]

PREFIX: Final = "bumble:"
_POWER_ON_SECONDS: Final = 5.0
_RESET: Final = cast("Any", hci.HCI_Reset_Command())


def _is_news(entry: logging.LogRecord) -> bool:
    # Raised as well, and told by who holds the adapter: no need for a traceback beside it.
    return entry.exc_info is None or not isinstance(entry.exc_info[1], TransportLostError)


logging.getLogger("bumble.host").addFilter(_is_news)


def backends_for(device: Device) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """Return the scanner and client backends bound to a Bumble device that is powered on."""
    bound = {"radio": radio_of(device)}
    return (
        cast("type[BaseBleakScanner]", type("BumbleScanner", (Scanner,), bound)),
        cast("type[BaseBleakClient]", type("BumbleClient", (Client,), bound)),
    )


class Adapter:
    """A Bumble host on an HCI transport; `scanner` and `client` are the values for `backend=`."""

    def __init__(self, device: Device, transport: Transport) -> None:
        self.device = device
        self.scanner, self.client = backends_for(device)
        self._transport = transport
        self._lost = asyncio.Event()
        self._terminated = transport.source.terminated
        self._terminated.add_done_callback(self._on_terminated)

    @property
    def lost(self) -> bool:
        """Whether the transport ended; then only `close` is of use."""
        return self._lost.is_set()

    async def wait_lost(self) -> None:
        """Return when the transport ended."""
        await self._lost.wait()

    async def close(self) -> None:
        """End all links, release the transport."""
        with suppress(Exception):  # a dead transport has many ways to complain; it ends here
            async with asyncio.timeout(COMMAND_SECONDS):
                if not self.lost:
                    await self.device.host.send_sync_command(_RESET)
        self._mark_lost()
        with suppress(Exception):
            await self._transport.close()

    def _on_terminated(self, future: "asyncio.Future[None]") -> None:
        if not future.cancelled():
            future.exception()  # retrieved: the reason is of no use, the loss is
        self._mark_lost()

    def _mark_lost(self) -> None:
        if self.lost:
            return
        radio_of(self.device).lost = True
        # Bumble flushes by itself unless an answer was just on its way when the transport ended.
        self.device.host.emit("flush")
        self._lost.set()


async def open_adapter(
    spec: str, *, bonds: Path | None = None, timeout_seconds: float = _POWER_ON_SECONDS
) -> Adapter:
    """Open `bumble:<transport>` and power the host on, or raise AdapterUnavailableError.

    `bonds`: the file that keeps its bonds and its address; without it a restart pairs anew.

    Transports are Bumble's: `tcp-client:127.0.0.1:9544`, `usb:0`, `serial:/dev/ttyACM0,1000000`.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            transport = await open_transport(spec.removeprefix(PREFIX))
    except (OSError, ValueError, core.BaseBumbleError, TimeoutError) as error:
        raise AdapterUnavailableError(f"{spec} cannot be opened: {error}") from None
    try:
        async with asyncio.timeout(timeout_seconds):
            host = QuietHost(transport.source, transport.sink)
            return Adapter(await power_on(host, bonds=bonds), transport)
    except (OSError, core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
        await transport.close()
        raise AdapterUnavailableError(f"{spec} does not answer: {error}") from None


async def power_on(host: QuietHost, *, bonds: Path | None = None, name: str = "gateway") -> Device:
    """Return a central on the host, with the address its bonds are made for, else a new one."""
    kept = Bonds(bonds) if bonds is not None else None
    address = hci.Address(kept.address) if kept else hci.Address.generate_static_address()
    device = Device(name=name, address=address, host=host)
    device.keystore = kept
    # What a peer remembers it by; Bumble would tell the controller's public address.
    device.config.identity_address_type = hci.Address.RANDOM_DEVICE_ADDRESS
    await device.power_on()
    shorten_notifications(device)
    return device
