"""The gaps of the virtual controller that would fool a gateway are closed."""

import asyncio

import pytest
from bumble import hci

from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import Air, eventually


async def test_cancelling_without_a_pending_connect_is_refused(air: Air):
    central = await air.central()
    with pytest.raises(hci.HCI_Error, match="COMMAND_DISALLOWED"):
        await central.device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())


async def test_a_reset_ends_the_links_and_the_ring_advertises_again(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client):
        await central.device.host.send_sync_command(hci.HCI_Reset_Command())
        await eventually(lambda: not ring.connected, "the end of the link")
        assert not central.controller.le_connections
        assert not central.controller.le_scan_enable
        other = await air.central()
        async with Listener(await find(other.scanner), other.client):
            assert ring.connected


async def test_a_ring_whose_battery_is_taken_out_is_gone_without_a_word(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        await ring.stop()
        await asyncio.sleep(0)
        assert gateway.client.is_connected
        central.controller.lose_links()
        await asyncio.wait_for(gateway.disconnected.wait(), 2)


async def test_a_passive_scan_hears_no_scan_response(air: Air):
    await air.ring(1, name="ada-1")
    central = await air.central()
    names: set[object] = set()
    heard = asyncio.Event()

    def on_advertisement(advertisement: object) -> None:
        names.add(advertisement.data.get(0x09))  # type: ignore[attr-defined]
        heard.set()

    central.device.on("advertisement", on_advertisement)
    await central.device.start_scanning(active=False)
    await asyncio.wait_for(heard.wait(), 2)
    assert names == {None}


async def test_a_link_that_one_side_lost_can_be_made_again(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        ring.controller.lose_links()
        assert gateway.client.is_connected
        central.controller.lose_links()
        await asyncio.wait_for(gateway.disconnected.wait(), 2)
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert (await gateway.status()).boot == 1
