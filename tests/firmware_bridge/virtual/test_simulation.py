"""`pinghub ring simulate` as a process: HCI over TCP, and SIGKILL of either side of it."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable

import pytest
from bleak.exc import BleakError

from firmware_bridge import sun, tap
from firmware_bridge.virtual.bleak_backend import Adapter, AdapterUnavailableError, open_adapter
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import RingsProcess, eventually, ring_id, ring_key

Start = Callable[..., RingsProcess]


@contextlib.asynccontextmanager
async def attached(rings: RingsProcess):
    adapter = await open_adapter(rings.ble_backend)
    try:
        yield adapter
    finally:
        await adapter.close()


@contextlib.asynccontextmanager
async def listening(adapter: Adapter):
    async with Listener(await find(adapter.scanner), adapter.client) as gateway:
        yield gateway


@pytest.mark.req("RNG-03")
async def test_a_press_reaches_a_central_in_another_process(start_rings: Start):
    rings = start_rings()
    async with attached(rings) as adapter, listening(adapter) as gateway:
        boot, seq = rings.press(kind="button")
        await eventually(lambda: gateway.raw, "the tap")
        record = tap.read(gateway.raw[0], ring_id=ring_id(1), key=ring_key(1))
        assert (record.kind, record.boot, record.seq) == ("button", boot, seq)


async def test_a_burst_taps_every_ring_so_often(start_rings: Start):
    rings = start_rings(count=2)
    async with attached(rings) as adapter, listening(adapter) as gateway:
        assert rings.ask({"burst": 20}) == {"ok": True}
        await eventually(lambda: len(gateway.raw) == 20, "the taps of the ring with a link")
        assert [tap.decode(raw).seq for raw in gateway.raw] == list(range(1, 21))
    assert [ring["pending"] for ring in rings.ask({"list": True})["rings"]] == [20, 20]
    assert not rings.ask({"burst": 4096})["ok"]
    assert not rings.ask({"burst": 0})["ok"]


@pytest.mark.req("RNG-05")
async def test_sigkill_of_the_rings_loses_no_unacked_tap(start_rings: Start):
    rings = start_rings()
    before = [rings.press() for _ in range(7)]
    async with attached(rings) as adapter, listening(adapter) as gateway:
        await gateway.replay()
        await gateway.ack(1, 3)
        rings.kill()
        await asyncio.wait_for(gateway.disconnected.wait(), 5)
        await asyncio.wait_for(adapter.wait_lost(), 5)
        with pytest.raises(BleakError):
            await gateway.status()
    with pytest.raises(AdapterUnavailableError):
        await open_adapter(rings.ble_backend)
    rings.start()
    after = rings.press()
    assert after[0] == 2
    assert after[1] > before[-1][1]
    async with attached(rings) as adapter, listening(adapter) as gateway:
        assert (await gateway.status()).pending == 5
        await gateway.replay()
        found = [tap.decode(raw) for raw in gateway.raw]
        assert [(record.boot, record.seq) for record in found] == [*before[3:], after]
        assert all(tap.verify(raw, ring_id=ring_id(1), key=ring_key(1)) for raw in gateway.raw)


@pytest.mark.req("RNG-05")
async def test_every_answered_press_survives_a_kill_in_the_middle(start_rings: Start):
    rings = start_rings()
    answered: list[tuple[int, int]] = []

    def press_until_dead() -> None:
        with contextlib.suppress(OSError):
            while True:
                answered.append(rings.press())

    pressing = asyncio.create_task(asyncio.to_thread(press_until_dead))
    await eventually(lambda: len(answered) > 20, "some presses")
    rings.kill()
    await pressing
    rings.start()
    async with attached(rings) as adapter, listening(adapter) as gateway:
        await gateway.replay()
        kept = {(record.boot, record.seq) for record in map(tap.decode, gateway.raw)}
    assert set(answered) <= kept
    # At most the one press whose answer was cut off.
    assert len(kept - set(answered)) <= 1


async def test_a_killed_central_frees_its_rings_for_the_next_one(start_rings: Start):
    rings = start_rings()
    victim = multiprocessing.get_context("spawn").Process(
        target=_hold_a_connection, args=(rings.ble_backend,)
    )
    victim.start()

    def connected() -> bool:
        return rings.ask({"list": True})["rings"][0]["connected"]

    await eventually(connected, "its link", 20)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    await eventually(lambda: not connected(), "the end of the link")
    rings.press()
    async with attached(rings) as adapter, listening(adapter) as gateway:
        assert await gateway.replay() == 1


async def test_a_new_host_takes_the_controller_over_from_a_hung_one(start_rings: Start):
    rings = start_rings()
    async with attached(rings) as hung, listening(hung) as lost:
        async with attached(rings) as adapter, listening(adapter) as gateway:
            assert (await gateway.status()).boot == 1
        await asyncio.wait_for(lost.disconnected.wait(), 5)
        assert hung.lost


async def test_half_a_packet_of_a_dead_host_does_not_spoil_the_next(start_rings: Start):
    rings = start_rings()
    host, _, port = rings.hci.rpartition(":")
    for junk in (b"\x01\x03", b"\x99\x99\x99", b"\x02\x00\x00\xff\xff" + bytes(100)):
        with socket.create_connection((host, int(port)), 5) as connection:
            connection.sendall(junk)
    async with attached(rings) as adapter, listening(adapter) as gateway:
        assert (await gateway.status()).boot == 1


def test_rings_tap_in_turn_at_their_interval(start_rings: Start):
    rings = start_rings(count=2, every="50ms")

    def pending() -> list[int]:
        return [ring["pending"] for ring in rings.ask({"list": True})["rings"]]

    deadline = time.monotonic() + 10
    while min(pending()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first, second = pending()
    assert abs(first - second) <= 1


def test_a_terminated_process_ends_with_0_and_says_when_it_was_ready(start_rings: Start):
    rings = start_rings()
    rings.press()
    assert rings.stop() == 0
    assert '"event": "process_ready"' in rings.log_text()
    assert ring_key(1).hex() not in rings.log_text()


def test_the_virtual_tag_shows_a_new_genuine_link_each_time_and_after_a_kill(start_rings: Start):
    rings = start_rings()

    def counter() -> int:
        answer = rings.ask({"link": ring_id(1).hex(), "base": "https://ping.example/t"})
        link = sun.parse(answer["link"])
        return sun.read(link, bytes(16), lambda _uid: ring_key(1)).counter

    assert [counter(), counter()] == [1, 2]
    rings.kill()
    rings.start()
    assert counter() == 3


def test_control_lines_are_answered_one_by_one_also_bad_ones(start_rings: Start):
    rings = start_rings()
    name = ring_id(1).hex()
    for request, problem in (
        ({}, "malformed"),
        ({"press": name, "list": True}, "malformed"),
        ({"press": name, "kind": "dance"}, "malformed"),
        ({"press": 7}, "malformed"),
        ({"unknown": 1}, "malformed"),
        ({"press": "ffffffffffffffff"}, "unknown ring"),
    ):
        answer = rings.ask(request)
        assert not answer["ok"]
        assert problem in answer["error"]
    host, _, port = rings.control.rpartition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b'nonsense\n{"list": true}\n')
        with connection.makefile("rb") as lines:
            assert b'"ok":false' in lines.readline()
            assert b'"ok":true' in lines.readline()
    with socket.create_connection((host, int(port)), 5) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"x" * 200_000)
        with contextlib.suppress(OSError):
            assert connection.recv(100) == b""
    assert rings.ask({"list": True})["rings"][0]["pending"] == 0


async def test_a_silenced_ring_loses_its_link_and_comes_back(start_rings: Start):
    rings = start_rings()
    name = ring_id(1).hex()
    async with attached(rings) as adapter:
        async with listening(adapter) as gateway:
            assert rings.ask({"silence": name})["ok"]
            await asyncio.wait_for(gateway.disconnected.wait(), 5)
            rings.press()
        assert rings.ask({"restore": name})["ok"]
        async with listening(adapter) as gateway:
            assert await gateway.replay() == 1
    assert rings.ask({"reboot": name})["boot"] == 2


def _hold_a_connection(backend: str) -> None:
    async def hold() -> None:
        adapter = await open_adapter(backend)
        async with listening(adapter):
            await asyncio.sleep(60)

    asyncio.run(hold())


def test_two_rings_touch_on_the_control_port(start_rings: Start):
    rings = start_rings(count=3)
    entries = json.loads(rings.rings_file.read_text())
    for number in (0, 1):
        entries[number]["id_key"] = f"{number + 1:032x}"
    rings.stop()
    rings.rings_file.write_text(json.dumps(entries))
    rings.start()
    names = [ring_id(number).hex() for number in (1, 2, 3)]
    answer = rings.ask({"touch": names[0], "peer": names[1].upper()})
    assert (answer["ok"], answer["boot"]) == (True, 2)
    pending = {item["device_id"]: item["pending"] for item in rings.ask({"list": True})["rings"]}
    assert pending == {names[0]: 1, names[1]: 1, names[2]: 0}
    for peer, problem in ((names[0], "unknown"), ("ff" * 8, "unknown"), (names[2], "no id_key")):
        answer = rings.ask({"touch": names[0], "peer": peer})
        assert not answer["ok"]
        assert problem in answer["error"]
