"""Where Bluetooth comes from: the machine's own, or a Bumble host on any HCI transport."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Final

import msgspec
from bleak.exc import BleakError

from core.errors import ConfigError

BUMBLE_PREFIX: Final = "bumble:"


class AdapterLostError(Exception):
    """The adapter cannot be opened, or it went away."""


class Adapter(msgspec.Struct, frozen=True):
    """What bleak takes as `backend=` (None is the machine's own), and how a loss is noticed."""

    scanner: Any
    client: Any
    wait_lost: Callable[[], Awaitable[None]]


def check_backend(backend: str) -> None:
    """Raise ConfigError unless the setting `gateway.ble_backend` can be served."""
    if backend == "auto":
        return
    if backend.removeprefix(BUMBLE_PREFIX) in ("", backend):
        raise ConfigError(
            f'gateway.ble_backend {backend!r}: use "auto" or "bumble:<transport>",'
            " for example bumble:usb:0"
        )
    if find_spec("bumble") is None:
        raise ConfigError(f"gateway.ble_backend {backend!r} needs Bumble: run `make install`")


@asynccontextmanager
async def open_adapter(backend: str) -> AsyncGenerator[Adapter]:
    """Hold an adapter open, or raise AdapterLostError."""
    if backend == "auto":
        # bleak opens the machine's adapter with each scanner; its loss shows as a failing scan.
        yield Adapter(None, None, asyncio.Event().wait)  # pyright: ignore[reportArgumentType]  # never set
        return
    # Imported late: Bumble is an extra that a gateway with BlueZ does without.
    from firmware_bridge.virtual import bleak_backend  # noqa: PLC0415  # loaded when it is used

    try:
        opened = await bleak_backend.open_adapter(backend)
    except BleakError as error:
        raise AdapterLostError(str(error)) from None
    try:
        yield Adapter(opened.scanner, opened.client, opened.wait_lost)
    finally:
        await opened.close()
