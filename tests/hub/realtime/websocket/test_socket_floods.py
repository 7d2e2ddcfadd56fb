"""Sockets and peers that send without end: pings, pongs, small frames, after a close."""

import asyncio
import contextlib
import itertools
import tracemalloc

import pytest
from websockets.frames import Opcode

from hub.realtime.delivery.outbox import write_to_all
from hub.realtime.websocket import socket as websocket
from tests.hub.realtime.house import until
from tests.hub.realtime.websocket.peer import Connect, numbered
from tests.hub.realtime.websocket.test_frames import masked


@pytest.mark.parametrize("opcode", [9, 10])
async def test_a_flood_of_pings_or_pongs_ends_the_connection(connect: Connect, opcode: int):
    ours, peer = await connect()
    await peer.send(masked(opcode, bytes(125)) * 1000 + masked(2, b"after"))
    received = await peer.read_to_end()
    assert [code for code, _ in received if code != 10] == [8]
    assert received[-1][1][:2] == (1008).to_bytes(2)
    assert len(received) <= 101
    assert ours.pongs <= 100
    peer.end.close()
    await until(lambda: ours.losses)
    assert ours.messages == []


async def test_pings_at_an_honest_pace_are_all_answered(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr(websocket.clock, "monotonic_seconds", lambda: now)
    _, peer = await connect()
    for number in range(30):
        now += 1.0
        await peer.send(masked(9, b"a") * 10)
        await peer.read_until(lambda number=number: len(peer.frames) == 10 * (number + 1))
    assert set(peer.frames) == {(10, b"a")}


async def test_a_flood_of_small_frames_lets_others_have_their_turn(connect: Connect):
    ours, peer = await connect()
    sending = asyncio.create_task(peer.send(masked(2, b"x") * 20_000))
    turns: list[int] = []
    while len(ours.messages) < 20_000:
        turns.append(len(ours.messages))
        await asyncio.sleep(0)
    await sending
    # A turn ends with the piece in which its frames are full.
    most = 128 + 2048 // len(masked(2, b"x"))
    assert max(after - before for before, after in itertools.pairwise(turns)) <= most


async def test_a_listener_that_wants_no_more_is_asked_before_the_rest_of_a_turn(connect: Connect):
    ours, peer = await connect()
    ours.keen = False
    await peer.send(masked(2, b"x") * 5000)
    await until(lambda: ours.messages)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    held = len(ours.messages)
    assert held < 5000
    ours.keen = True
    ours.resume_reading()
    await until(lambda: len(ours.messages) == 5000)


async def test_a_peer_that_answers_our_close_by_a_flood_is_read_no_more(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.2)
    ours, peer = await connect()
    ours.close(3013, "too many requests")
    with contextlib.suppress(OSError):
        await asyncio.wait_for(peer.send(masked(2, bytes(125)) * 200_000), 10)
    await until(lambda: ours.losses)
    assert ours.messages == []


async def test_a_peer_that_never_reads_costs_bounded_memory_and_ends(connect: Connect, monkeypatch):
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.1)
    ours, _ = await connect()
    other, reader = await connect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        number = 0
        while not ours.overflows:
            write_to_all([ours, other], numbered(number))
            number += 1
            # The other's frames are taken at once.
            await reader.read_until(lambda: len(reader.frames) == number)  # noqa: B023
            reader.frames[:-1] = [(0, b"")] * (len(reader.frames) - 1)
            assert tracemalloc.get_traced_memory()[0] - before < 1_048_576
    finally:
        tracemalloc.stop()
    ours.close(3008, "slow")
    await until(lambda: ours.losses, "the end of who never reads")
    assert other.losses == 0
    assert other.descriptor >= 0


async def test_pings_are_answered_and_pongs_reported(connect: Connect):
    ours, peer = await connect()
    ours.ping()
    await peer.read_until(lambda: peer.frames)
    assert peer.frames == [(int(Opcode.PING), b"")]
    await peer.send(masked(10) + masked(9, b"echo"))
    await peer.read_until(lambda: len(peer.frames) == 2)
    assert peer.frames[1] == (int(Opcode.PONG), b"echo")
    assert ours.pongs == 1
