"""A virtual ring as a gateway sees it, through plain bleak on the real Bumble stack."""

import asyncio

import pytest
from bleak.exc import BleakError, BleakGATTProtocolError

from firmware_bridge import eid, gatt, tap, touch
from firmware_bridge.virtual.ring import NoIdentityError
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import Air, eventually, ring_id, ring_key


async def test_a_ring_advertises_its_service_and_its_name(air: Air):
    await air.ring(1, name="ada-1")
    central = await air.central()
    device = await find(central.scanner)
    assert device.name == "ada-1"


async def test_a_connected_central_reads_who_the_ring_is(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert bytes(await gateway.client.read_gatt_char(gatt.IDENT)) == ring_id(1)
        assert await gateway.client.read_gatt_char(gatt.BATTERY_LEVEL) == bytearray([80])
        assert await gateway.client.read_gatt_char(gatt.FIRMWARE_REVISION) == b"virtual-1"
        assert gateway.client.mtu_size >= tap.ATT_MTU_MIN
        assert (await gateway.status()).boot == 1
        assert ring.connected


@pytest.mark.req("RNG-03")
async def test_a_press_arrives_live_and_verifies(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        pressed = await ring.press("button", rssi=-40)
        await eventually(lambda: gateway.raw, "the tap")
        received = tap.read(gateway.raw[0], ring_id=ring_id(1), key=ring_key(1))
        assert received == pressed
        assert not received.replayed


@pytest.mark.req("RNG-05")
async def test_taps_made_alone_are_replayed_oldest_first_and_unchanged(air: Air):
    ring = await air.ring()
    alone = [await ring.press() for _ in range(5)]
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert (await gateway.status()).pending == 5
        assert await gateway.replay() == 5
        first = list(gateway.raw)
        assert [tap.decode(raw) for raw in first] == alone
        assert all(tap.decode(raw).replayed for raw in first)
        assert await gateway.replay() == 5
        assert gateway.raw == first * 2


async def test_the_reply_to_a_replay_comes_after_its_last_record(air: Air):
    ring = await air.ring()
    for _ in range(60):
        await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert await gateway.replay() == 60
        assert gateway.seqs == list(range(1, 61))


@pytest.mark.req("RNG-05")
async def test_a_live_tap_overtakes_a_replay_and_its_ack_by_contiguous_mark_loses_none(air: Air):
    ring = await air.ring()
    for _ in range(20):
        await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        await ring.press()
        await eventually(lambda: 21 in gateway.seqs, "the live tap")
        assert gateway.seqs[0] == 21
        await gateway.ack(1, 0)  # nothing contiguous yet
        await gateway.replay()
        assert set(gateway.seqs) == set(range(1, 22))
        await gateway.ack(1, 21)
        assert (await gateway.status()).pending == 0


async def test_an_ack_forgets_up_to_its_mark_and_only_its_boot(air: Air):
    ring = await air.ring()
    for _ in range(3):
        await ring.press()
    await ring.reboot()
    await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        status = await gateway.status()
        assert (status.boot, status.oldest_unacked, status.pending) == (2, 1, 4)
        await gateway.ack(2, status.last_seq)
        assert (await gateway.status()).pending == 3
        await gateway.ack(1, 2)
        status = await gateway.status()
        assert (status.oldest_unacked, status.pending) == (3, 1)
        await gateway.replay()
        assert gateway.seqs == [3]


@pytest.mark.req("RNG-05")
async def test_a_rebooted_ring_has_the_next_boot_and_its_seq_goes_on(air: Air):
    ring = await air.ring()
    first = await ring.press()
    await ring.reboot()
    second = await ring.press()
    assert (first.boot, second.boot) == (1, 2)
    assert second.seq > first.seq
    assert second.uptime_ms < 5000


async def test_an_ack_is_announced_by_a_status_notification(air: Air):
    ring = await air.ring()
    await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        statuses: list[gatt.Status] = []
        await gateway.client.start_notify(
            gatt.STATUS, lambda _c, data: statuses.append(gatt.decode_status(bytes(data)))
        )
        await gateway.ack(1, 1)
        await eventually(lambda: statuses, "the notification")
        assert statuses[0].pending == 0


async def test_commands_are_answered_by_an_indication(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert not (await ring.press()).time_synced
        reply = await gateway.ctrl(gatt.encode_ctrl(gatt.SetTime(1_767_225_600_000)))
        assert reply == gatt.CtrlReply(opcode=gatt.SET_TIME, result="ok")
        assert (await ring.press()).time_synced
        await gateway.ctrl(gatt.encode_ctrl(gatt.Identify()))
        assert ring.identified == 1
        assert (await gateway.ctrl(b"\x03\xa0")).result == "unsupported"
        assert (await gateway.ctrl(b"\x02\x00")).result == "malformed"
        assert (await gateway.ctrl(b"")).result == "malformed"


async def test_an_ack_of_the_wrong_length_is_refused_and_forgets_nothing(air: Air):
    ring = await air.ring()
    await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        with pytest.raises(BleakGATTProtocolError):
            await gateway.client.write_gatt_char(gatt.ACK, b"\x01\x00\x00\x00", response=True)
        assert (await gateway.status()).pending == 1


async def test_a_central_with_a_small_mtu_gets_no_cut_records(air: Air):
    ring = await air.ring()
    ring.device.gatt_server.max_mtu = tap.ATT_MTU_MIN - 1
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        await ring.press()
        assert await gateway.status()  # a round trip behind the tap
        assert gateway.raw == []
        assert (await gateway.status()).pending == 1


async def test_a_ring_advertises_again_when_its_central_is_gone(air: Air):
    await air.ring()
    central = await air.central()
    for _ in range(3):
        async with Listener(await find(central.scanner), central.client):
            pass


async def test_presses_at_the_same_time_have_numbers_of_their_own(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        pressed = await asyncio.gather(*(ring.press() for _ in range(30)))
        assert sorted(record.seq for record in pressed) == list(range(1, 31))
        await eventually(lambda: len(gateway.raw) == 30, "all taps")
        assert gateway.seqs == list(range(1, 31))


async def test_a_ring_out_of_reach_keeps_its_taps_until_it_is_back(air: Air):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        air.link.silence(ring.address)
        await ring.press()
        central.controller.lose_links()
        ring.controller.lose_links()
        await asyncio.wait_for(gateway.disconnected.wait(), 2)
        with pytest.raises(BleakError):
            await gateway.status()
        assert gateway.raw == []
    air.link.restore(ring.address)
    async with Listener(await find(central.scanner), central.client) as gateway:
        assert await gateway.replay() == 1


async def test_an_encrypted_ring_speaks_only_after_pairing(air: Air):
    ring = await air.ring(encrypted=True)
    await ring.press()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        for operation in (
            gateway.client.read_gatt_char(gatt.IDENT),
            gateway.ack(1, 1),
            gateway.ctrl(gatt.encode_ctrl(gatt.Replay())),
        ):
            with pytest.raises(BleakGATTProtocolError, match="Insufficient Encryption"):
                await operation
        await ring.press()
        assert (await gateway.status()).pending == 2
        assert gateway.raw == []
        await gateway.client.pair()
        assert bytes(await gateway.client.read_gatt_char(gatt.IDENT)) == ring_id(1)
        assert await gateway.replay() == 2
        await gateway.ack(1, 2)
        assert (await gateway.status()).pending == 0


async def test_two_rings_that_touch_sign_what_the_other_told(air: Air):
    one = await air.ring(1, id_key=b"\1" * 16)
    other = await air.ring(2, id_key=b"\2" * 16)
    await one.press()
    now_ms = 1_767_225_600_000
    records = await one.touch(other, now_ms)
    window = eid.window_of(now_ms)
    for own, peer, record in ((one, other, records[0]), (other, one, records[1])):
        number = 1 if own is one else 2
        raw = own.memory.pending[-1]
        kept, told = touch.read_record(raw, ring_id=ring_id(number), key=ring_key(number))
        assert kept == record
        assert told.eid == eid.eid(eid.derive(bytes((3 - number,)) * 16), window)
        assert told.seq == peer.memory.last_seq
    assert [record.seq for record in records] == [2, 1]


async def test_touches_and_taps_at_once_never_mix_up_their_numbers(air: Air):
    rings = [await air.ring(number, id_key=bytes((number,)) * 16) for number in (1, 2, 3)]
    work = [
        *(rings[a].touch(rings[b], 0) for a, b in ((0, 1), (1, 2), (2, 0), (1, 0)) * 3),
        *(ring.press() for ring in rings * 4),
    ]
    done = await asyncio.wait_for(asyncio.gather(*work), 10)
    for one, other in (item for item in done if isinstance(item, tuple)):
        assert (one.peer_ctr, other.peer_ctr) == (other.seq, one.seq)


async def test_a_ring_without_identity_touches_nobody_and_nothing_is_recorded(air: Air):
    one, other = await air.ring(1, id_key=bytes(16)), await air.ring(2)
    for first, second in ((one, other), (other, one)):
        with pytest.raises(NoIdentityError):
            await first.touch(second, 0)
    assert (one.memory.pending, other.memory.pending) == ([], [])
