"""The air: loss, silence, strength."""

import pytest
from bleak import BleakScanner
from bleak.exc import BleakDeviceNotFoundError

from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import Air


async def test_a_ring_is_found_and_reached_though_95_percent_of_advertisements_are_lost(air: Air):
    air.link.advertisement_loss = 0.95
    await air.ring()
    central = await air.central()
    device = await find(central.scanner, timeout=10)
    async with Listener(device, central.client, timeout=10) as gateway:
        assert (await gateway.status()).boot == 1


async def test_a_silenced_ring_is_neither_heard_nor_reached(air: Air):
    ring = await air.ring()
    central = await air.central()
    device = await find(central.scanner)
    air.link.silence(ring.address)
    assert await BleakScanner.discover(timeout=0.1, backend=central.scanner) == []
    with pytest.raises(BleakDeviceNotFoundError):
        async with Listener(device, central.client, timeout=0.2):
            pass
    air.link.restore(ring.address)
    async with Listener(await find(central.scanner), central.client):
        pass


async def test_only_listeners_are_handed_advertisements(air: Air):
    ring = await air.ring(1)
    other = await air.ring(2)
    handed: list[object] = []
    other.controller.on_ll_advertising_pdu = handed.append  # type: ignore[method-assign]
    central = await air.central()
    await find(central.scanner, str(ring.address))
    assert handed == []
