"""Sockets under hazards: peers that do not read, reset, half-close; descriptors used again."""

import asyncio
import os
import random
import socket
import struct

import pytest

from hub.realtime.delivery.outbox import write_to_all
from hub.realtime.websocket import frames
from tests.hub.realtime.house import until
from tests.hub.realtime.websocket.peer import Connect, fill, numbered
from tests.hub.realtime.websocket.test_frames import masked


async def test_a_peer_that_keeps_up_is_written_to_directly(connect: Connect):
    ours, peer = await connect()
    assert ours.descriptor == ours.transport.get_extra_info("socket").fileno()
    write_to_all([ours], numbered(1))
    await peer.read_until(lambda: peer.frames)
    assert peer.frames == [(2, struct.pack("!I", 1) + bytes(1000))]
    assert ours.sends == 0


async def test_order_is_kept_from_fast_to_slow_and_back_with_control_frames_in_place(
    connect: Connect,
):
    ours, peer = await connect()
    for _ in range(3):
        peer.frames.clear()
        count = fill(ours)
        assert ours.descriptor == -1
        ours.ping()
        before = ours.sends
        await peer.send(masked(9, b"are you there"))
        await until(lambda: ours.sends > before, "the pong")  # noqa: B023
        write_to_all([ours], numbered(count))
        await peer.read_until(lambda: len(peer.frames) == count + 3)  # noqa: B023
        opcodes = [opcode for opcode, _ in peer.frames]
        assert opcodes == [2] * count + [9, 10, 2]
        numbers = [data[:4] for opcode, data in peer.frames if opcode == 2]
        assert numbers == [struct.pack("!I", number) for number in range(count + 1)]
        await until(lambda: ours.descriptor >= 0, "the fast way back")


async def test_the_close_frame_comes_after_everything_that_waited(connect: Connect):
    ours, peer = await connect()
    count = fill(ours)
    ours.close(3001, "shutdown")
    ours.send(numbered(count))
    write_to_all([ours], numbered(count))
    await peer.read_until(lambda: peer.frames and peer.frames[-1][0] == 8)
    assert len(peer.frames) == count + 1
    assert frames.parse_close(peer.frames[-1][1]) == (3001, "shutdown")
    await peer.send(masked(8, b"\x0b\xb9"))
    assert len(await peer.read_to_end()) == count + 1


async def test_a_peer_that_does_not_read_is_given_up_once_and_told_why(connect: Connect):
    ours, peer = await connect()
    count = 0
    while not ours.overflows:
        write_to_all([ours], numbered(count))
        count += 1
    assert ours.waiting_bytes == 0
    for _ in range(100):
        write_to_all([ours], numbered(count))
        ours.ping()
    assert ours.overflows == 1
    ours.close(3008, "slow")
    await peer.read_until(lambda: peer.frames and peer.frames[-1][0] == 8)
    *received, (_, last) = peer.frames
    assert frames.parse_close(last) == (3008, "slow")
    # Nothing after the first hole.
    numbers = [data[:4] for _, data in received]
    assert numbers == [struct.pack("!I", number) for number in range(len(received))]
    assert len(received) < count


async def test_a_descriptor_used_again_never_gets_what_was_meant_for_the_one_before(
    connect: Connect,
):
    gone, peer = await connect()
    number = gone.descriptor
    peer.reset()
    await until(lambda: gone.losses)
    heir, reader = await connect()
    if heir.transport.get_extra_info("socket").fileno() != number:
        os.dup2(heir.transport.get_extra_info("socket").fileno(), number)
    try:
        write_to_all([gone], numbered(1))
        gone.send(numbered(2))
        gone.ping()
        gone.close(1000)
        write_to_all([heir], numbered(3))
        await reader.read_until(lambda: reader.frames)
        assert reader.frames == [(2, struct.pack("!I", 3) + bytes(1000))]
    finally:
        if heir.descriptor != number:
            os.close(number)


async def test_under_churn_nobody_gets_what_was_meant_for_another(connect: Connect):
    rng = random.Random(6455)
    everybody = [await connect() for _ in range(20)]
    names = {id(ours): number for number, (ours, _) in enumerate(everybody)}
    for number in range(20, 120):
        ours, peer = rng.choice([pair for pair in everybody if pair[1].end.fileno() >= 0])
        leave = rng.choice([peer.reset, peer.end.close, ours.transport.abort, ours.transport.close])
        leave()
        # At every moment of its leaving, and after it.
        for _ in range(3):
            for item, _ in everybody:
                write_to_all([item], frames.encode(1, b"%d" % names[id(item)]))
            await asyncio.sleep(0)
        newcomer = await connect()
        names[id(newcomer[0])] = number
        everybody.append(newcomer)
        for item, _ in everybody[-20:]:
            write_to_all([item], frames.encode(1, b"%d" % names[id(item)]))
    alive = [(ours, peer) for ours, peer in everybody if not ours.losses and peer.end.fileno() >= 0]
    assert len(alive) >= 5
    for ours, peer in alive:
        ours.close(1000)
        await peer.read_until(lambda: peer.frames and peer.frames[-1][0] == 8)  # noqa: B023
        texts = {data for opcode, data in peer.frames if opcode == 1}
        assert texts <= {b"%d" % names[id(ours)]}


async def test_a_reset_socket_is_written_to_without_harm_and_let_go_once(connect: Connect):
    ours, peer = await connect()
    other, reader = await connect()
    peer.reset()
    for number in range(20):
        write_to_all([ours, other], numbered(number))
    await until(lambda: ours.losses)
    write_to_all([ours, other], numbered(20))
    await reader.read_until(lambda: len(reader.frames) == 21)
    assert ours.losses == 1


async def test_a_socket_that_is_closing_already_takes_everything_in_silence(
    connect: Connect, caplog: pytest.LogCaptureFixture
):
    for leave in ("close", "abort"):
        ours, _ = await connect()
        getattr(ours.transport, leave)()
        for number in range(10):
            write_to_all([ours], numbered(number))
            ours.send(numbered(number))
        ours.ping()
        ours.data_received(masked(3))
        ours.close(1000)
        await until(lambda: ours.losses)  # noqa: B023
        ours.send(numbered(0))
        ours.resume_reading()
        ours.close(1000)
    assert caplog.records == []


async def test_a_peer_that_stops_sending_has_left(connect: Connect):
    ours, peer = await connect()
    peer.end.shutdown(socket.SHUT_WR)
    assert await peer.read_to_end() == []
    await until(lambda: ours.losses)


async def test_reading_stops_for_a_listener_that_is_behind(connect: Connect):
    ours, peer = await connect()
    ours.keen = False
    await peer.send(masked(1, b"first"))
    await until(lambda: ours.messages)
    await peer.send(masked(1, b"second"))
    await asyncio.sleep(0.05)  # nothing to wait for: the second must not come
    assert len(ours.messages) == 1
    ours.keen = True
    ours.resume_reading()
    await until(lambda: len(ours.messages) == 2)
