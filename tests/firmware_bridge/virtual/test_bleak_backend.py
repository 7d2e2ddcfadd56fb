"""bleak on Bumble: connects end, errors are BleakErrors, and a lost adapter says so."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble.transport.common import TransportLostError

from firmware_bridge import gatt
from firmware_bridge.virtual.bleak_backend import AdapterUnavailableError, open_adapter
from firmware_bridge.virtual.ring import ring_address
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.ports import free_port
from tests.fixtures.rings import Air, RingsProcess, eventually, ring_id

ABSENT = str(ring_address(b"nobody!!"))


async def test_connecting_to_an_absent_ring_ends_at_its_timeout(air: Air):
    central = await air.central()
    started = time.monotonic()
    with pytest.raises(BleakDeviceNotFoundError):
        await BleakClient(ABSENT, backend=central.client, timeout=0.3).connect()
    assert 0.3 <= time.monotonic() - started < 1.5


async def test_after_a_vain_connect_the_next_one_succeeds(air: Air):
    await air.ring()
    central = await air.central()
    device = await find(central.scanner)
    for _ in range(2):
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient(ABSENT, backend=central.client, timeout=0.1).connect()
        async with Listener(device, central.client):
            pass


async def test_a_cancelled_connect_leaves_nothing_pending(air: Air):
    await air.ring()
    central = await air.central()
    device = await find(central.scanner)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await BleakClient(ABSENT, backend=central.client, timeout=10).connect()
    assert central.controller.pending_le_connection is None
    async with Listener(device, central.client):
        pass


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_a_connect_cancelled_just_when_it_succeeds_leaves_no_link(air: Air, turns: int):
    ring = await air.ring()
    central = await air.central()
    device = await find(central.scanner)
    linked = asyncio.Event()
    central.device.once("connection", lambda _connection: linked.set())
    client = BleakClient(device, backend=central.client, timeout=5)
    connecting = asyncio.create_task(client.connect())
    await linked.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    assert not connecting.done()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await eventually(lambda: not ring.connected, "the end of the link")
    assert not central.device.connections
    assert not client.is_connected


async def test_two_connects_at_once_take_turns(air: Air):
    await air.ring(1)
    await air.ring(2)
    central = await air.central()
    devices = await BleakScanner.discover(timeout=0.2, backend=central.scanner)
    assert len(devices) == 2
    listeners = [Listener(device, central.client) for device in devices]
    await asyncio.gather(*(listener.__aenter__() for listener in listeners))
    assert all(listener.client.is_connected for listener in listeners)
    await asyncio.gather(*(listener.client.disconnect() for listener in listeners))


async def test_a_connect_that_waits_behind_a_vain_one_still_gets_its_full_time(air: Air):
    await air.ring()
    central = await air.central()
    device = await find(central.scanner)
    vain = asyncio.create_task(BleakClient(ABSENT, backend=central.client, timeout=0.4).connect())
    async with Listener(device, central.client, timeout=0.35) as gateway:
        assert gateway.client.is_connected
    with pytest.raises(BleakDeviceNotFoundError):
        await vain


async def test_a_dropped_link_calls_back_once_and_its_operations_are_bleak_errors(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        central.controller.lose_links()
        ring.controller.lose_links()
        await asyncio.wait_for(gateway.disconnected.wait(), 2)
        assert not gateway.client.is_connected
        for operation in (
            gateway.client.read_gatt_char(gatt.STATUS),
            gateway.client.write_gatt_char(gatt.ACK, bytes(8), response=True),
            gateway.client.start_notify(gatt.STATUS, lambda *_: None),
        ):
            with pytest.raises(BleakError):
                await operation
        await gateway.client.disconnect()
    assert gateway.disconnections == 1


async def test_a_read_that_waits_when_the_link_drops_fails_at_once(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        air.link.silence(ring.address)
        reading = asyncio.create_task(gateway.client.read_gatt_char(gatt.STATUS))
        await asyncio.sleep(0)
        central.controller.lose_links()
        with pytest.raises(BleakError, match="Not connected"):
            await asyncio.wait_for(reading, 2)


async def test_a_cancelled_read_is_cancelled_and_the_link_lives_on(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        air.link.silence(ring.address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.client.read_gatt_char(gatt.STATUS)
        air.link.restore(ring.address)
        assert (await gateway.status()).boot == 1


async def test_notifications_can_be_stopped_and_started_again(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        await gateway.client.stop_notify(gatt.TAP)
        await ring.press()
        await gateway.status()
        assert gateway.raw == []
        await gateway.client.start_notify(
            gatt.TAP, lambda _c, data: gateway.raw.append(bytes(data))
        )
        with pytest.raises(BleakError, match="already on"):
            await gateway.client.start_notify(gatt.TAP, lambda *_: None)
        await ring.press()
        await eventually(lambda: gateway.seqs == [2], "the live tap")


async def test_services_and_descriptors_are_as_bleak_shows_them(air: Air):
    await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        services = gateway.client.services
        control = services.get_characteristic(gatt.CTRL)
        assert control is not None
        assert sorted(control.properties) == ["indicate", "write"]
        assert control.service_uuid == gatt.SERVICE
        cccd = services.get_characteristic(gatt.TAP).descriptors[0]
        assert await gateway.client.read_gatt_descriptor(cccd.handle) == b"\x01\x00"
        await gateway.client._backend.write_gatt_descriptor(cccd, b"\x00\x00")
        assert await gateway.client.read_gatt_descriptor(cccd.handle) == b"\x00\x00"
        assert control.max_write_without_response_size == gateway.client.mtu_size - 3


async def test_a_scan_tells_strength_and_filters_by_service(air: Air):
    ring = await air.ring()
    air.link.set_rssi(ring.address, -77)
    central = await air.central()
    found = await BleakScanner.discover(
        timeout=0.15, return_adv=True, service_uuids=[gatt.SERVICE], backend=central.scanner
    )
    ((_device, data),) = found.values()
    assert (data.rssi, data.service_uuids) == (-77, [gatt.SERVICE])
    nothing = await BleakScanner.discover(
        timeout=0.15, service_uuids=[gatt.BATTERY], backend=central.scanner
    )
    assert nothing == []


async def test_two_scanners_share_the_radio(air: Air):
    await air.ring()
    central = await air.central()
    async with BleakScanner(backend=central.scanner) as first:
        await find(central.scanner)
        await eventually(lambda: first.discovered_devices, "the outer scan")
        assert central.controller.le_scan_enable
    assert not central.controller.le_scan_enable


async def test_an_adapter_that_is_not_there_is_named_in_the_error():
    spec = f"bumble:tcp-client:127.0.0.1:{free_port()}"
    with pytest.raises(AdapterUnavailableError, match="tcp-client"):
        await open_adapter(spec)


@pytest.mark.parametrize("spec", ["bumble:", "bumble:nonsense", "bumble:tcp-client:x"])
async def test_a_transport_nobody_knows_is_refused(spec: str):
    with pytest.raises(AdapterUnavailableError):
        await open_adapter(spec)


async def test_an_adapter_that_does_not_answer_ends_at_its_timeout():
    server = await asyncio.start_server(lambda _r, _w: asyncio.sleep(60), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    with pytest.raises(AdapterUnavailableError, match="does not answer"):
        await open_adapter(f"bumble:tcp-client:127.0.0.1:{port}", timeout_seconds=0.2)
    assert time.monotonic() - started < 2
    server.close()


async def test_a_closed_adapter_ends_its_links_and_refuses_at_once(
    start_rings: Callable[..., RingsProcess],
):
    adapter = await open_adapter(start_rings().ble_backend)
    async with Listener(await find(adapter.scanner), adapter.client) as gateway:
        await adapter.close()
        await asyncio.wait_for(gateway.disconnected.wait(), 2)
    assert adapter.lost
    with pytest.raises(AdapterUnavailableError):
        await BleakScanner(backend=adapter.scanner).start()
    with pytest.raises(AdapterUnavailableError):
        await BleakClient(ABSENT, backend=adapter.client).connect()
    await adapter.close()
    assert gateway.disconnections == 1


async def test_a_client_can_pair_while_it_connects_and_forget_it(air: Air):
    ring = await air.ring(encrypted=True, name="ada-1")
    central = await air.central()
    device = await find(central.scanner)
    client = BleakClient(device, backend=central.client, pair=True)
    assert (client.name, client.is_connected, client.mtu_size) == ("ada-1", False, 23)
    async with client:
        assert await client.read_gatt_char(gatt.IDENT) == ring.ring_id
        await client.unpair()
    assert await central.device.keystore.get_all() == []


async def test_without_a_link_every_operation_is_refused(air: Air):
    central = await air.central()
    client = BleakClient(ABSENT, backend=central.client)
    await client.disconnect()
    with pytest.raises(BleakError):
        await client.pair()
    with pytest.raises(BleakError):
        await client.read_gatt_char(gatt.STATUS)


async def test_hostile_advertisements_do_not_stop_a_scan(air: Air):
    ring = await air.ring()
    noisy = await air.ring(2)
    for data in (b"\x02\x09\xff", b"\x1f\x07short", b"\x03\x16\x01", b"\xff" * 31, b"\x01"):
        for advertising_set in noisy.controller.advertising_sets.values():
            advertising_set.data = bytearray(data)
        central = await air.central()
        device = await find(central.scanner, str(ring.address))
        assert device.name == ring.name
        air.link.remove_controller(central.controller)


async def test_ring_addresses_are_stable_and_differ():
    assert ring_address(ring_id(1)) == ring_address(ring_id(1))
    assert ring_address(ring_id(1)) != ring_address(ring_id(2))
    assert ring_address(ring_id(1)).is_static


@pytest.mark.parametrize(
    ("error", "is_told"), [(TransportLostError("gone"), False), (ValueError(), True)]
)
def test_a_controller_that_went_away_leaves_no_traceback_in_the_log(
    error: Exception, is_told: bool
):
    host = logging.getLogger("bumble.host")
    entry = host.makeRecord(
        host.name, logging.ERROR, __file__, 1, "Exception", (), (type(error), error, None)
    )
    assert bool(host.filter(entry)) is is_told
