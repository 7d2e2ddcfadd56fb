"""What bleak does not ask of BlueZ: switching an adapter off and on, forgetting a device.

Over the system's D-Bus: org.bluez.Adapter1 (property Powered, method RemoveDevice).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from core import clock

SERVICE: Final = "org.bluez"
ADAPTER: Final = "org.bluez.Adapter1"
OFF_SECONDS: Final = 1.0
"""Firmware needs a moment without power to forget what it was stuck in."""
ANSWER_SECONDS: Final = 10.0
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_OBJECTS: Final = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
_LOOK_SECONDS: Final = 0.1


class BluezError(Exception):
    """BlueZ is not there, does not know the adapter, or refuses."""


async def power_cycle(adapter: str = "", *, off_seconds: float = OFF_SECONDS) -> None:
    """Switch an adapter (`hci0`; empty: the first) off and on again, or raise BluezError."""
    async with _bus() as bus:
        path = await _path(bus, adapter)
        await _power(bus, path, is_on=False)
        await asyncio.sleep(off_seconds)
        await _power(bus, path, is_on=True)


async def remove_device(address: str, adapter: str = "") -> None:
    """Let BlueZ forget a device with its stuck connection and its bond, or raise BluezError."""
    async with _bus() as bus:
        path = await _path(bus, adapter)
        device = f"{path}/dev_{address.upper().replace(':', '_')}"
        await _call(bus, path, f"{ADAPTER}.RemoveDevice", "o", [device])


@asynccontextmanager
async def _bus() -> AsyncGenerator[MessageBus]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, DBusError, TimeoutError, ValueError) as error:
        raise BluezError(f"no D-Bus: {error}") from None
    try:
        yield bus
    finally:
        bus.disconnect()


async def _path(bus: MessageBus, adapter: str) -> str:
    if adapter:
        return f"/org/bluez/{adapter}"
    (objects,) = await _call(bus, "/", _OBJECTS, "", [])
    paths = sorted(path for path, interfaces in objects.items() if ADAPTER in interfaces)
    if not paths:
        raise BluezError("BlueZ has no adapter")
    return paths[0]


async def _power(bus: MessageBus, path: str, *, is_on: bool) -> None:
    value = [ADAPTER, "Powered", Variant("b", is_on)]
    await _call(bus, path, f"{_PROPERTIES}.Set", "ssv", value)
    until = clock.monotonic_seconds() + ANSWER_SECONDS
    while clock.monotonic_seconds() < until:
        (powered,) = await _call(bus, path, f"{_PROPERTIES}.Get", "ss", [ADAPTER, "Powered"])
        if powered.value is is_on:
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise BluezError(f"{path} does not switch {'on' if is_on else 'off'}")


async def _call(
    bus: MessageBus, path: str, method: str, signature: str, body: list[Any]
) -> list[Any]:
    interface, _, member = method.rpartition(".")
    message = Message(
        destination=SERVICE,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=body,
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await bus.call(message)
    except (TimeoutError, EOFError, OSError) as error:
        raise BluezError(f"{member}: {error or 'no answer'}") from None
    if reply.message_type is MessageType.ERROR:
        raise BluezError(f"{member}: {reply.error_name} {' '.join(map(str, reply.body))}")
    return reply.body
