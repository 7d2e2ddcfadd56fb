"""bleak's scanner backend on a Bumble host."""

import struct
from typing import ClassVar

from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.uuids import normalize_uuid_str
from bumble import core
from bumble.device import Advertisement, Device

from firmware_bridge.virtual.central_radio import Radio, bleak_errors


class Scanner(BaseBleakScanner):
    """Shares the radio's scan with the other scanners of its device."""

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
        self.radio.require_up()
        self.seen_devices = {}
        device = self.radio.device
        device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        self.radio.scanners += 1
        if self.radio.scanners == 1:
            async with bleak_errors(self._is_up):
                await device.start_scanning(active=self._active)

    async def stop(self) -> None:
        device = self.radio.device
        device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        self.radio.scanners -= 1
        if self.radio.scanners == 0 and self._is_up():
            async with bleak_errors(self._is_up):
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
