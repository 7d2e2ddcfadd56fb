"""What a ring says of itself besides its taps."""

from contextlib import suppress
from typing import Final

import msgspec
from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from firmware_bridge import gatt

_FIRMWARE_CHARS: Final = 64
_BATTERY_MAX: Final = 100


class Facts(msgspec.Struct):
    """None: the ring does not say, or not yet."""

    firmware: str | None = None
    battery_pct: int | None = None

    def take_battery(self, data: bytes) -> None:
        """Take the value of the Battery Level characteristic, if it is one."""
        if len(data) == 1 and data[0] <= _BATTERY_MAX:
            self.battery_pct = data[0]


async def learn(client: BleakClient, facts: Facts) -> None:
    """Read what a connected ring offers, and follow its battery; a refusal is no failure."""

    def on_battery(_characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        facts.take_battery(bytes(data))

    if client.services.get_characteristic(gatt.FIRMWARE_REVISION) is not None:
        with suppress(BleakError):
            text = bytes(await client.read_gatt_char(gatt.FIRMWARE_REVISION))
            shown = "".join(char for char in text.decode(errors="replace") if char.isprintable())
            facts.firmware = shown[:_FIRMWARE_CHARS]
    if client.services.get_characteristic(gatt.BATTERY_LEVEL) is not None:
        with suppress(BleakError):
            facts.take_battery(bytes(await client.read_gatt_char(gatt.BATTERY_LEVEL)))
            await client.start_notify(gatt.BATTERY_LEVEL, on_battery)
