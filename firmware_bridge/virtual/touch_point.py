"""Where a virtual ring is touched: the TOUCH characteristic, and the radio that it has for a touch.

A ring that felt a bump shows itself for a moment under an address of its own, which changes with
each touch as its identifier does, so that a link to a gateway neither hinders it nor is told. The
other ring connects and writes what it says; this one writes back over the same link. What comes
outside of a touch, from too far away or twice is refused with an ATT error.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from bumble import hci
from bumble.att import ATT_Error, Attribute, AttributeValue, ErrorCode
from bumble.core import BaseBumbleError
from bumble.device import Connection, Device, Peer
from bumble.gatt import Characteristic, Service
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host

from firmware_bridge import gatt, touch
from firmware_bridge.virtual.controller import RadioController
from firmware_bridge.virtual.link import RadioLink

RSSI_MIN_DBM: Final = -38
"""Weaker than this, the other ring does not touch but is near at best."""
WINDOW_SECONDS: Final = 3.0
"""So long after the bump a ring listens."""
_ADVERTISING_INTERVAL_MS: Final = 20.0
_LINK_SECONDS: Final = 5.0


class TouchRefusedError(Exception):
    """The other ring did not take what was written, or was not there."""


class TouchPoint:
    """One ring's end of its touches, one at a time: `felt`, then `told` by the other."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._felt_at: float | None = None
        self._told: touch.Touch | None = None
        self._link: Connection | None = None
        self._radio: RadioController | None = None
        self.device: Device | None = None

    def characteristic(self) -> Characteristic[bytes]:
        """Return the TOUCH characteristic, for the ring's service."""
        return Characteristic[bytes](
            gatt.TOUCH,
            Characteristic.Properties.WRITE,
            Attribute.Permissions.WRITEABLE,
            AttributeValue(write=self._on_write),
        )

    @property
    def told(self) -> touch.Touch | None:
        """What the other ring wrote during this touch."""
        return self._told

    @property
    def rssi(self) -> int | None:
        """How loud the other ring is heard; None without a link."""
        if self._radio is None or self._link is None:
            return None
        return self._radio.radio.rssi(self._link.peer_address, self._radio)

    @asynccontextmanager
    async def felt(self, link: RadioLink, rssi_dbm: int) -> AsyncGenerator[None]:
        """Be open to a touch; `rssi_dbm` is how loud others hear this ring."""
        address = _fresh_address()
        link.set_rssi(address, rssi_dbm)
        self._told, self._link = None, None
        self._felt_at = self._monotonic()
        self._radio = RadioController(f"touch {address}", link)
        host = Host()
        host.controller = self._radio
        self.device = Device(name="", address=address, host=host)
        self.device.add_service(Service(gatt.SERVICE, [self.characteristic()]))
        self.device.on(Device.EVENT_CONNECTION, self._on_connection)
        try:
            await self.device.power_on()
            await self.device.start_advertising(
                advertising_data=b"",
                advertising_interval_min=_ADVERTISING_INTERVAL_MS,
                advertising_interval_max=_ADVERTISING_INTERVAL_MS,
            )
            yield
        finally:
            self._radio.power_off()
            link.forget_rssi(address)
            self._felt_at, self._link, self._radio, self.device = None, None, None, None

    async def reach(self, other: "TouchPoint") -> None:
        """Connect to the other ring, or raise TouchRefusedError."""
        if self.device is None or other.device is None:
            raise TouchRefusedError("both rings must have felt the touch")
        try:
            async with asyncio.timeout(_LINK_SECONDS):
                await self.device.connect_le(other.device.random_address, timeout=None)
        except (BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
            raise TouchRefusedError(f"no link: {error!r}") from None

    async def say(self, data: bytes) -> None:
        """Write to the other ring over the link of this touch, or raise TouchRefusedError."""
        if self._link is None:
            raise TouchRefusedError("no link")
        try:
            async with asyncio.timeout(_LINK_SECONDS):
                found = await _touch_of(self._link)
                await found.write_value(data, with_response=True)
        except ATT_Error as error:
            raise TouchRefusedError(f"ATT error 0x{error.error_code:02X}") from None
        except (BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
            raise TouchRefusedError(f"the link failed: {error!r}") from None

    def _on_connection(self, connection: Connection) -> None:
        self._link = connection

    def _on_write(self, _connection: Connection, data: bytes) -> None:
        if len(data) != touch.TOUCH_BYTES:
            raise ATT_Error(ErrorCode.INVALID_ATTRIBUTE_LENGTH)
        try:
            said = touch.decode(data)
        except touch.TouchError:
            raise ATT_Error(ErrorCode.VALUE_NOT_ALLOWED) from None
        felt_at = self._felt_at
        if felt_at is None or self._monotonic() - felt_at > WINDOW_SECONDS:
            raise ATT_Error(gatt.TOUCH_TOO_LATE)
        if (rssi := self.rssi) is None or rssi < RSSI_MIN_DBM:
            raise ATT_Error(gatt.TOUCH_TOO_WEAK)
        if self._told is not None:
            raise ATT_Error(gatt.TOUCH_TAKEN)
        self._told = said


async def _touch_of(link: Connection) -> CharacteristicProxy[bytes]:
    peer = Peer(link)
    for service in await peer.discover_service(gatt.SERVICE):
        for found in await peer.discover_characteristics([gatt.TOUCH], service):
            return found
    raise TouchRefusedError("the other ring has no TOUCH")


def _fresh_address() -> hci.Address:
    address = bytearray(secrets.token_bytes(6))
    address[5] &= 0x3F  # the two top bits say "non-resolvable private"
    return hci.Address(bytes(address), hci.Address.RANDOM_DEVICE_ADDRESS)
