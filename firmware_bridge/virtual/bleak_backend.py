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
import struct
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Final, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble import core, hci
from bumble.att import ATT_Error
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import Transport

PREFIX: Final = "bumble:"
ATT_MTU: Final = 247
_POWER_ON_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 2.0
_RESET: Final = cast("Any", hci.HCI_Reset_Command())
_CANCEL_CONNECT: Final = cast("Any", hci.HCI_LE_Create_Connection_Cancel_Command())
_WRITE_OVERHEAD: Final = 3  # opcode and handle in front of an ATT write


class AdapterUnavailableError(BleakError):
    """The HCI transport cannot be opened, does not answer, or was lost."""


class Radio:
    """What all clients and scanners of one Bumble device share."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.connecting = asyncio.Lock()
        self.scanners = 0
        self.lost = False

    async def connect(self, address: str, timeout_seconds: float) -> Connection:
        """Connect within the time, or raise BleakDeviceNotFoundError with nothing left pending."""
        async with self.connecting:
            if self.lost:
                raise AdapterUnavailableError("the HCI transport was lost")
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
                await asyncio.wait_for(attempt.result().disconnect(), _COMMAND_SECONDS)

    async def _cancel(self, attempt: "asyncio.Future[Connection]") -> None:
        # The peer may have answered in this very moment: then the cancel is refused and the
        # attempt has a connection, which the caller must find.
        with suppress(hci.HCI_Error, core.BaseBumbleError, TimeoutError):
            await asyncio.wait_for(
                self.device.send_sync_command(_CANCEL_CONNECT),
                _COMMAND_SECONDS,
            )
        await asyncio.wait({attempt}, timeout=_COMMAND_SECONDS)
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt})


_radios: "weakref.WeakKeyDictionary[Device, Radio]" = weakref.WeakKeyDictionary()


def _radio_of(device: Device) -> Radio:
    if (radio := _radios.get(device)) is None:
        radio = _radios[device] = Radio(device)
    return radio


def backends_for(device: Device) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """Return the scanner and client backends bound to a Bumble device that is powered on."""
    bound = {"radio": _radio_of(device)}
    return (
        cast("type[BaseBleakScanner]", type("BumbleScanner", (_Scanner,), bound)),
        cast("type[BaseBleakClient]", type("BumbleClient", (_Client,), bound)),
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
            async with asyncio.timeout(_COMMAND_SECONDS):
                if not self.lost:
                    await self.device.host.send_sync_command(_RESET)
        if not self.lost:
            self._mark_lost()
            self.device.host.emit("flush")
        with suppress(Exception):
            await self._transport.close()

    def _on_terminated(self, future: "asyncio.Future[None]") -> None:
        if not future.cancelled():
            future.exception()  # retrieved: the reason is of no use, the loss is
        self._mark_lost()

    def _mark_lost(self) -> None:
        _radio_of(self.device).lost = True
        self._lost.set()


async def open_adapter(spec: str, *, timeout_seconds: float = _POWER_ON_SECONDS) -> Adapter:
    """Open `bumble:<transport>` and power the host on, or raise AdapterUnavailableError.

    Transports are Bumble's: `tcp-client:127.0.0.1:9544`, `usb:0`, `serial:/dev/ttyACM0,1000000`.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            transport = await open_transport(spec.removeprefix(PREFIX))
    except (OSError, ValueError, core.BaseBumbleError, TimeoutError) as error:
        raise AdapterUnavailableError(f"{spec} cannot be opened: {error}") from None
    try:
        async with asyncio.timeout(timeout_seconds):
            return Adapter(await power_on(Host(transport.source, transport.sink)), transport)
    except (OSError, core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
        await transport.close()
        raise AdapterUnavailableError(f"{spec} does not answer: {error}") from None


async def power_on(host: Host, *, address: str = "", name: str = "gateway") -> Device:
    """Return a central on the host; a random static address unless one is given."""
    device = Device(
        name=name,
        address=hci.Address(address) if address else hci.Address.generate_static_address(),
        host=host,
    )
    await device.power_on()
    return device


class _Scanner(BaseBleakScanner):
    radio: ClassVar[Radio]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_kwargs: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        self.seen_devices = {}
        device = self.radio.device
        device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        self.radio.scanners += 1
        if self.radio.scanners == 1:
            async with _bleak_errors(self._is_up):
                await device.start_scanning(active=self._active)

    async def stop(self) -> None:
        device = self.radio.device
        device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        self.radio.scanners -= 1
        if self.radio.scanners == 0 and self._is_up():
            async with _bleak_errors(self._is_up):
                await device.stop_scanning()

    def _is_up(self) -> bool:
        return not self.radio.lost

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        try:
            found = _advertisement_data(advertisement)
        except (ValueError, IndexError, struct.error):
            return  # anyone in reach may send anything
        if not self.is_allowed_uuid(found.service_uuids):
            return
        address = advertisement.address.to_string(with_type_qualifier=False)
        name = found.local_name
        device = self.create_or_update_device(address, address, name, advertisement.address, found)
        self.call_detection_callbacks(device, found)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    data = advertisement.data
    types = core.AdvertisingData.Type
    uuids = [
        normalize_uuid_str(str(uuid.to_hex_str("-")))
        for kind in (
            types.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
            types.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
            types.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
            types.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        )
        for found in data.get_all(kind)
        for uuid in found
    ]
    manufacturer = data.get_all(types.MANUFACTURER_SPECIFIC_DATA)
    service_data = [
        *data.get_all(types.SERVICE_DATA_16_BIT_UUID),
        *data.get_all(types.SERVICE_DATA_128_BIT_UUID),
    ]
    return AdvertisementData(
        local_name=data.get(types.COMPLETE_LOCAL_NAME) or data.get(types.SHORTENED_LOCAL_NAME),
        manufacturer_data=dict(manufacturer),
        service_data={normalize_uuid_str(str(u.to_hex_str("-"))): v for u, v in service_data},
        service_uuids=uuids,
        tx_power=data.get(types.TX_POWER_LEVEL),
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )


class _Client(BaseBleakClient):
    radio: ClassVar[Radio]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_kwargs: object,
    ) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout
        )
        is_device = isinstance(address_or_ble_device, BLEDevice)
        self._name = (address_or_ble_device.name if is_device else None) or self.address
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._notify: dict[int, NotifyCallback] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def mtu_size(self) -> int:
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:  # noqa: ANN401  # bleak's signature
        timeout_seconds = float(kwargs.get("timeout", self._timeout))
        connection = await self.radio.connect(self.address, timeout_seconds)
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            async with _bleak_errors(lambda: self.is_connected), asyncio.timeout(timeout_seconds):
                self._peer = Peer(connection)
                await self._peer.request_mtu(ATT_MTU)
                if pair:
                    await connection.pair()
                await self._peer.discover_all()
                self.services = self._collect_services(self._peer)
        except BaseException:
            with suppress(BleakError):
                await asyncio.shield(self.disconnect())
            raise

    async def disconnect(self) -> None:
        if (connection := self._connection) is None:
            return
        before = _cancellations()
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                await connection.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error, TimeoutError):
            # The link is of no use any more; the controller drops it at its supervision timeout.
            self._on_disconnection(0)
        except asyncio.CancelledError:
            self._on_disconnection(0)
            if _cancellations() > before:
                raise

    async def pair(self, *_args: object, **_kwargs: object) -> None:
        connection = self._require_connection()
        async with _bleak_errors(lambda: self.is_connected):
            await connection.pair()

    async def unpair(self) -> None:
        if keystore := self.radio.device.keystore:
            with suppress(KeyError):
                await keystore.delete(str(hci.Address(self.address)))

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,  # noqa: ARG002  # a ring's values are never cached
        **_kwargs: object,
    ) -> bytearray:
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,  # noqa: ARG002  # same
        **_kwargs: object,
    ) -> bytearray:
        return await self._read(descriptor.handle)

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        await self._write(characteristic.handle, bytes(data), response)

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        await self._write(descriptor.handle, bytes(data), True)

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **_kwargs: object,
    ) -> None:
        peer = self._require_peer()
        handle = characteristic.handle
        if handle in self._notify:
            raise BleakError("notifications are already on")
        self._notify[handle] = callback

        def on_value(value: bytes) -> None:
            if (current := self._notify.get(handle)) is not None:
                current(bytearray(value))

        try:
            async with _bleak_errors(lambda: self.is_connected):
                await peer.subscribe(_proxy_of(characteristic), on_value)
        except BaseException:
            self._notify.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        peer = self._require_peer()
        self._notify.pop(characteristic.handle, None)
        async with _bleak_errors(lambda: self.is_connected):
            await peer.unsubscribe(_proxy_of(characteristic))

    async def _read(self, handle: int) -> bytearray:
        peer = self._require_peer()
        async with _bleak_errors(lambda: self.is_connected):
            return bytearray(await peer.gatt_client.read_value(handle))

    async def _write(self, handle: int, data: bytes, response: bool) -> None:
        peer = self._require_peer()
        async with _bleak_errors(lambda: self.is_connected):
            await peer.gatt_client.write_value(handle, data, with_response=response)

    def _require_connection(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    def _require_peer(self) -> Peer:
        if self._peer is None:
            raise BleakError("Not connected")
        return self._peer

    def _on_disconnection(self, _reason: int) -> None:
        if self._connection is None:
            return
        self._connection = None
        self._peer = None
        self.services = None
        self._notify.clear()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _collect_services(self, peer: Peer) -> BleakGATTServiceCollection:
        collection = BleakGATTServiceCollection()
        for service in peer.services:
            found = BleakGATTService(service, service.handle, _uuid_text(service.uuid))
            collection.add_service(found)
            for proxy in service.characteristics:
                characteristic = BleakGATTCharacteristic(
                    proxy,
                    proxy.handle,
                    _uuid_text(proxy.uuid),
                    list(gatt_char_props_to_strs(int(proxy.properties))),
                    lambda: self.mtu_size - _WRITE_OVERHEAD,
                    found,
                )
                collection.add_characteristic(characteristic)
                for descriptor in proxy.descriptors:
                    collection.add_descriptor(
                        BleakGATTDescriptor(
                            descriptor,
                            descriptor.handle,
                            _uuid_text(descriptor.type),
                            characteristic,
                        )
                    )
        return collection


def _proxy_of(characteristic: BleakGATTCharacteristic) -> "CharacteristicProxy[bytes]":
    return cast("CharacteristicProxy[bytes]", characteristic.obj)


def _uuid_text(uuid: core.UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


@asynccontextmanager
async def _bleak_errors(is_up: Callable[[], bool]) -> AsyncGenerator[None]:
    """Turn every failure of Bumble into a BleakError; a cancelled caller stays cancelled."""
    before = _cancellations()
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from None
    except asyncio.CancelledError:
        # Bumble cancels the pending request when the link drops; the caller was not cancelled.
        if _cancellations() > before or is_up():
            raise
        raise BleakError("Not connected") from None
    except (core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
        problem = str(error) if is_up() else "Not connected"
        raise BleakError(problem or type(error).__name__) from None
    if _cancellations() > before:
        # asyncio.wait_for of Python 3.11, inside Bumble, swallows a cancellation that meets the
        # answer; a caller that never ends would be the price.
        raise asyncio.CancelledError
