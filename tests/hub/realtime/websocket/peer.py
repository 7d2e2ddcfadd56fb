"""Both ends of a connection past its handshake: ours with what it heard, and a plain socket."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.frames import Frame
from websockets.protocol import CLIENT, OPEN, Protocol

from hub.realtime.delivery.outbox import write_to_all
from hub.realtime.websocket import frames
from hub.realtime.websocket.frames import FrameReader, Message
from hub.realtime.websocket.socket import Socket
from tests.hub.realtime.house import until

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
