"""What a virtual ring shows before anybody connects: its service, and its name when asked."""

from bumble.core import UUID, AdvertisingData

from firmware_bridge import gatt


def advertisement() -> bytes:
    """Return the advertisement: flags and the RING service."""
    types = AdvertisingData.Type
    flags = AdvertisingData.LE_GENERAL_DISCOVERABLE_MODE_FLAG
    flags |= AdvertisingData.BR_EDR_NOT_SUPPORTED_FLAG
    service = UUID(gatt.SERVICE).to_bytes()
    return bytes(
        AdvertisingData(
            [
                (types.FLAGS, bytes((flags,))),
                (types.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, service),
            ]
        )
    )


def scan_response(name: str) -> bytes:
    """Return the answer to a scan request: the name, as far as it fits."""
    types = AdvertisingData.Type
    return bytes(AdvertisingData([(types.COMPLETE_LOCAL_NAME, name.encode()[:29])]))
