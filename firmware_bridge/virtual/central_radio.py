"""What the clients and scanners of one Bumble device share: the radio, and how failures look."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import core, hci
from bumble.att import ATT_Error
from bumble.device import Connection, Device

COMMAND_SECONDS: Final = 2.0
_CANCEL_CONNECT: Final = cast("Any", hci.HCI_LE_Create_Connection_Cancel_Command())


class AdapterUnavailableError(BleakError):
    """The HCI transport cannot be opened, does not answer, or was lost."""


class Radio:
    """What all clients and scanners of one Bumble device share."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.connecting = asyncio.Lock()
        self.scanners = 0
        self.lost = False

    def require_up(self) -> None:
        """Raise AdapterUnavailableError when the transport is gone: commands would hang."""
        if self.lost:
            raise AdapterUnavailableError("the HCI transport was lost")

    async def connect(self, address: str, timeout_seconds: float) -> Connection:
        """Connect within the time, or raise BleakDeviceNotFoundError with nothing left pending."""
        async with self.connecting:
            self.require_up()
            attempt = asyncio.ensure_future(
                self.device.connect_le(hci.Address(address), timeout=None)
            )
            try:
                await asyncio.wait({attempt}, timeout=timeout_seconds)
            except asyncio.CancelledError:
                await asyncio.shield(self._abandon(attempt))
                raise
            if not attempt.done():
                await self._cancel(attempt)
            if attempt.cancelled():
                raise AdapterUnavailableError("the HCI transport was lost")
            try:
                return attempt.result()
            except core.ConnectionError:
                raise BleakDeviceNotFoundError(address, "no answer within the time") from None
            except (hci.HCI_Error, core.BaseBumbleError) as error:
                raise BleakError(f"connect failed: {error}") from None

    async def _abandon(self, attempt: "asyncio.Future[Connection]") -> None:
        if not attempt.done():
            await self._cancel(attempt)
        if not attempt.cancelled() and attempt.exception() is None:
            with suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError):
                await asyncio.wait_for(attempt.result().disconnect(), COMMAND_SECONDS)

    async def _cancel(self, attempt: "asyncio.Future[Connection]") -> None:
        # The peer may have answered in this very moment: then the cancel is refused and the
        # attempt has a connection, which the caller must find.
        with suppress(hci.HCI_Error, core.BaseBumbleError, TimeoutError):
            await asyncio.wait_for(
                self.device.send_sync_command(_CANCEL_CONNECT),
                COMMAND_SECONDS,
            )
        await asyncio.wait({attempt}, timeout=COMMAND_SECONDS)
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt})


_radios: "weakref.WeakKeyDictionary[Device, Radio]" = weakref.WeakKeyDictionary()


def radio_of(device: Device) -> Radio:
    """Return the radio of a device; one per device, however often it is asked for."""
    if (radio := _radios.get(device)) is None:
        radio = _radios[device] = Radio(device)
    return radio


def cancellations() -> int:
    """Return how often the current task was asked to cancel."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


@asynccontextmanager
async def bleak_errors(is_up: Callable[[], bool]) -> AsyncGenerator[None]:
    """Turn every failure of Bumble into a BleakError; a cancelled caller stays cancelled."""
    before = cancellations()
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from None
    except asyncio.CancelledError:
        # Bumble cancels the pending request when the link drops; the caller was not cancelled.
        if cancellations() > before or is_up():
            raise
        raise BleakError("Not connected") from None
    except (core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
        problem = str(error) if is_up() else "Not connected"
        raise BleakError(problem or type(error).__name__) from None
    if cancellations() > before:
        # asyncio.wait_for of Python 3.11, inside Bumble, swallows a cancellation that meets the
        # answer; a caller that never ends would be the price.
        raise asyncio.CancelledError
