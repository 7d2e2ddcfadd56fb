"""A controller over TCP, and the simulation around it, within this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware_bridge import sun
from firmware_bridge.virtual import memory
from firmware_bridge.virtual.bleak_backend import AdapterUnavailableError, open_adapter
from firmware_bridge.virtual.simulation import Answer, RingEntry, Simulation
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import eventually, ring_entry, ring_id, ring_key

NAME = ring_id(1).hex()
LOOPBACK = ("127.0.0.1", 0)


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    entries = [msgspec.convert(ring_entry(number), RingEntry) for number in (1, 2)]
    entries.append(RingEntry(device_id=ring_id(3).hex(), tap_key=ring_key(3).hex()))
    found = Simulation(entries, tmp_path)
    await found.start(hci=[LOOPBACK], control=LOOPBACK)
    yield found
    await found.stop()


def backend(simulation: Simulation) -> str:
    return f"bumble:tcp-client:127.0.0.1:{simulation.hci[0].port}"


async def ask(simulation: Simulation, **request: object) -> Answer:
    return await simulation.answer(msgspec.json.encode(request))


async def test_a_press_on_the_control_port_reaches_the_host_on_the_hci_port(
    simulation: Simulation,
):
    adapter = await open_adapter(backend(simulation))
    address = str(simulation.rings[NAME].address)
    async with Listener(await find(adapter.scanner, address), adapter.client) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulation.control_port)
        writer.write(msgspec.json.encode({"press": NAME.upper()}) + b"\n")
        assert msgspec.json.decode(await reader.readline()) == {"ok": True, "boot": 1, "seq": 1}
        writer.close()
        await eventually(lambda: gateway.seqs == [1], "the tap")
        (listed, *_) = (await ask(simulation, list=True)).rings or []
        assert (listed.name, listed.connected, listed.pending) == ("test-1", True, 1)
        await adapter.close()
    await eventually(lambda: not simulation.rings[NAME].connected, "the end of the link")


async def test_a_new_host_takes_over_and_the_old_one_is_told(simulation: Simulation):
    old = await open_adapter(backend(simulation))
    new = await open_adapter(backend(simulation))
    await asyncio.wait_for(old.wait_lost(), 2)
    assert await find(new.scanner)
    await new.close()
    await old.close()


async def test_a_stopped_server_lets_its_host_go(simulation: Simulation):
    adapter = await open_adapter(backend(simulation))
    await simulation.hci[0].stop()
    await asyncio.wait_for(adapter.wait_lost(), 2)
    with pytest.raises(AdapterUnavailableError):
        await open_adapter(backend(simulation))
    await adapter.close()


async def test_bytes_that_are_no_packets_end_the_connection(simulation: Simulation):
    reader, writer = await asyncio.open_connection("127.0.0.1", simulation.hci[0].port)
    writer.write(b"\x99 not HCI")
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_a_tag_is_only_where_the_rings_file_has_one(simulation: Simulation):
    answer = await ask(simulation, link=NAME, base="https://ping.example/t")
    tap = sun.read(sun.parse(answer.link), bytes(16), lambda _uid: ring_key(1))
    assert (tap.uid.hex(), tap.counter) == (ring_entry(1)["nfc_uid"], 1)
    refused = await ask(simulation, link=ring_id(3).hex())
    assert (refused.ok, refused.error) == (False, "the ring has no NFC tag in the rings file")


async def test_rings_reboot_and_go_out_of_reach(simulation: Simulation):
    adapter = await open_adapter(backend(simulation))
    address = str(simulation.rings[NAME].address)
    async with Listener(await find(adapter.scanner, address), adapter.client) as gateway:
        assert (await ask(simulation, silence=NAME)).ok
        await asyncio.wait_for(gateway.disconnected.wait(), 2)
    assert (await ask(simulation, restore=NAME)).ok
    assert await find(adapter.scanner, address)
    assert (await ask(simulation, reboot=NAME)).boot == 2
    assert await find(adapter.scanner, address)
    await adapter.close()


async def test_a_full_ring_refuses_the_press_and_the_turn_goes_on(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "CAPACITY", 2)
    turning = asyncio.create_task(simulation.press_in_turn(0.001))
    rings = simulation.rings.values()
    await eventually(lambda: all(r.memory.pending_count == 2 for r in rings), "full memories")
    answer = await ask(simulation, press=NAME)
    assert (answer.ok, answer.error) == (False, "the ring's memory is full")
    assert not turning.done()
    turning.cancel()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (b'{"press": "x", "link": "x"}', "malformed"),
        (b'{"press": "0"}', "unknown ring"),
        (b'{"list": true, "extra": 1}', "malformed"),
    ],
)
async def test_a_bad_line_is_answered(simulation: Simulation, line: bytes, problem: str):
    answer = await simulation.answer(line)
    assert not answer.ok
    assert problem in answer.error
