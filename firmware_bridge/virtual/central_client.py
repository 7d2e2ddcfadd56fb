"""bleak's client backend on a Bumble host."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_str
from bumble import core, hci
from bumble.device import Connection, Peer
from bumble.gatt_client import CharacteristicProxy

from firmware_bridge.virtual.central_radio import (
    COMMAND_SECONDS,
    Radio,
    bleak_errors,
    cancellations,
)

ATT_MTU: Final = 247
_WRITE_OVERHEAD: Final = 3  # opcode and handle in front of an ATT write


class Client(BaseBleakClient):
    """One connection at a time to one ring."""

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
            async with bleak_errors(lambda: self.is_connected), asyncio.timeout(timeout_seconds):
                self._peer = Peer(connection)
                await self._peer.request_mtu(ATT_MTU)
                if pair:
                    await _secure(self.radio, connection)
                await self._peer.discover_all()
                self.services = self._collect_services(self._peer)
        except BaseException:
            with suppress(BleakError):
                await asyncio.shield(self.disconnect())
            raise

    async def disconnect(self) -> None:
        if (connection := self._connection) is None:
            return
        before = cancellations()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await connection.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error, TimeoutError):
            # The link is of no use any more; the controller drops it at its supervision timeout.
            self._on_disconnection(0)
        except asyncio.CancelledError:
            self._on_disconnection(0)
            if cancellations() > before:
                raise

    async def pair(self, *_args: object, **_kwargs: object) -> None:
        connection = self._require_connection()
        async with bleak_errors(lambda: self.is_connected):
            await _secure(self.radio, connection)

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
            async with bleak_errors(lambda: self.is_connected):
                await peer.subscribe(_proxy_of(characteristic), on_value)
        except BaseException:
            self._notify.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        peer = self._require_peer()
        self._notify.pop(characteristic.handle, None)
        async with bleak_errors(lambda: self.is_connected):
            await peer.unsubscribe(_proxy_of(characteristic))

    async def _read(self, handle: int) -> bytearray:
        peer = self._require_peer()
        async with bleak_errors(lambda: self.is_connected):
            return bytearray(await peer.gatt_client.read_value(handle))

    async def _write(self, handle: int, data: bytes, response: bool) -> None:
        peer = self._require_peer()
        async with bleak_errors(lambda: self.is_connected):
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


async def _secure(radio: Radio, connection: Connection) -> None:
    """Encrypt by the bond with the peer where there is one, else make one."""
    keystore = radio.device.keystore
    if keystore is not None and await keystore.get(str(connection.peer_address)) is not None:
        await connection.encrypt()
    else:
        await connection.pair()


def _proxy_of(characteristic: BleakGATTCharacteristic) -> "CharacteristicProxy[bytes]":
    return cast("CharacteristicProxy[bytes]", characteristic.obj)


def _uuid_text(uuid: core.UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))
