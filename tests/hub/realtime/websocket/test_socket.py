"""Sockets under hazards: peers that do not read, reset, half-close; descriptors used again; TLS."""

import asyncio
import contextlib
import datetime as dt
import itertools
import os
import random
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from hub.realtime.delivery.outbox import write_to_all
from hub.realtime.websocket import frames
from hub.realtime.websocket import socket as websocket
from hub.realtime.websocket.frames import FrameReader, Message
from hub.realtime.websocket.socket import Socket
from tests.hub.realtime.house import until
from tests.hub.realtime.websocket.test_frames import masked

WAITING_BYTES = 200_000


class Ours(Socket):
    """The server's end of a connection, past its handshake, and what its listener heard."""

    __slots__ = ("keen", "losses", "messages", "overflows", "pongs", "sends")

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.pongs = self.overflows = self.losses = self.sends = 0
        self.keen = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.open(self, FrameReader(65_536), WAITING_BYTES)

    def send(self, data: bytes) -> None:
        self.sends += 1
        super().send(data)

    def on_message(self, message: Message) -> bool:
        self.messages.append(message)
        return self.keen

    def on_pong(self) -> None:
        self.pongs += 1

    def on_overflow(self) -> None:
        self.overflows += 1

    def on_lost(self) -> None:
        self.losses += 1


class Peer:
    """The client's end: a plain socket that reads when it is told to."""

    def __init__(self, end: socket.socket | ssl.SSLSocket) -> None:
        self.end = end
        self._protocol = Protocol(CLIENT, state=OPEN, max_size=None)
        self.frames: list[tuple[int, bytes]] = []
        self.is_at_end = False

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.end.sendall, data)

    async def read_until(self, condition: Callable[[], object]) -> None:
        """Read frames until the condition holds or the connection ends."""
        while not condition() and not self.is_at_end:
            try:
                data = await asyncio.wait_for(asyncio.to_thread(self.end.recv, 65_536), 10)
            except ConnectionResetError:
                data = b""
            self.is_at_end = not data
            self._protocol.receive_data(data) if data else self._protocol.receive_eof()
            assert self._protocol.parser_exc is None or self.is_at_end
            self.frames += [
                (int(frame.opcode), bytes(frame.data))
                for frame in self._protocol.events_received()
                if isinstance(frame, Frame)
            ]

    async def read_to_end(self) -> list[tuple[int, bytes]]:
        await self.read_until(lambda: False)
        return self.frames

    def reset(self) -> None:
        """Vanish as a machine does that has forgotten the connection."""
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end.close()


Connect = Callable[[], Awaitable[tuple[Ours, Peer]]]


@asynccontextmanager
async def listening(
    tls: ssl.SSLContext | None = None, trusted: ssl.SSLContext | None = None
) -> AsyncGenerator[Connect]:
    loop = asyncio.get_running_loop()
    ours: list[Ours] = []
    peers: list[Peer] = []

    def accept() -> Ours:
        ours.append(Ours())
        return ours[-1]

    listener = socket.create_server(("127.0.0.1", 0))
    # Small buffers of the kernel make a peer slow sooner.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    listener.setblocking(False)
    server = await loop.create_server(accept, sock=listener, ssl=tls)

    async def connect() -> tuple[Ours, Peer]:
        known = len(ours)
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        end.settimeout(10)
        await asyncio.to_thread(end.connect, listener.getsockname())
        if trusted:
            end = await asyncio.to_thread(trusted.wrap_socket, end, server_hostname="hub.example")
        await until(lambda: len(ours) > known and ours[-1].transport is not None)
        peers.append(Peer(end))
        return ours[-1], peers[-1]

    try:
        yield connect
    finally:
        server.close()
        for peer in peers:
            peer.end.close()
        for item in ours:
            item.transport.abort()
        await until(lambda: all(item.losses == 1 for item in ours))


@pytest.fixture
async def connect() -> AsyncGenerator[Connect]:
    async with listening() as connect:
        yield connect


def numbered(number: int, size: int = 1000) -> bytes:
    return frames.encode(frames.BINARY, struct.pack("!I", number) + bytes(size))


def fill(ours: Ours) -> int:
    """Write frames to a peer that does not read until some wait here; return how many."""
    count = 0
    while ours.waiting_bytes < 50_000:
        # By turns as publications and as replies leave.
        if count % 3:
            write_to_all([ours], numbered(count))
        else:
            ours.send(numbered(count))
        count += 1
        assert count < 100_000
    return count


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


async def test_pings_are_answered_and_pongs_reported(connect: Connect):
    ours, peer = await connect()
    ours.ping()
    await peer.read_until(lambda: peer.frames)
    assert peer.frames == [(int(Opcode.PING), b"")]
    await peer.send(masked(10) + masked(9, b"echo"))
    await peer.read_until(lambda: len(peer.frames) == 2)
    assert peer.frames[1] == (int(Opcode.PONG), b"echo")
    assert ours.pongs == 1


@pytest.fixture
def certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of TLS; the client never says its own goodbye."""
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.2)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hub.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "pair.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_tls_keeps_its_bytes_off_the_descriptor_and_order_as_ever(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
):
    async with listening(*certificate) as connect:
        ours, peer = await connect()
        assert ours.descriptor == -1
        write_to_all([ours], numbered(0))
        await peer.read_until(lambda: peer.frames)
        peer.frames.clear()
        count = fill(ours)
        ours.close(3000, "bye")
        await peer.read_until(lambda: peer.frames and peer.frames[-1][0] == 8)
        numbers = [data[:4] for opcode, data in peer.frames if opcode == 2]
        assert numbers == [struct.pack("!I", number) for number in range(count)]
        await peer.send(masked(8, b"\x03\xe8"))
        await until(lambda: ours.losses)


async def test_tls_ends_after_a_broken_frame_too(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
):
    async with listening(*certificate) as connect:
        ours, peer = await connect()
        await peer.send(masked(3))
        await peer.read_until(lambda: peer.frames)
        assert frames.parse_close(peer.frames[0][1])[0] == 1002
        await until(lambda: ours.losses)
