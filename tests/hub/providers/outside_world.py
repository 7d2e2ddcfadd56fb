"""An Internet in one process: names, addresses behind them, and a count of every connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import httpcore

PUBLIC = "93.184.215.14"
ELSEWHERE = "151.101.1.140"

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def plain(status: str, *headers: str, body: bytes = b"") -> bytes:
    """Return an answer that ends with its connection."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode() + body


class World(httpcore.AsyncNetworkBackend):
    """Stands for the network below the client: it sees which address and port are dialled.

    Public addresses lead to this process's server, and so does loopback on whatever port: what is
    let through arrives here and is counted, whatever the judge has said.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.answers: dict[str, bytes] = {}
        self.serve: Serve | None = None
        self.resolved: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._real = httpcore.AnyIOBackend()

    def name(self, name: str, *answers: list[str]) -> None:
        """Let a name have these addresses: the n-th question gets the n-th answer, TTL 0."""
        self.names[name] = list(answers)

    async def resolve(self, host: str, port: int) -> list[str]:
        del port
        self.resolved.append(host)
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del local_address, socket_options
        self.dialled.append((host, port))
        return await self._real.connect_tcp("127.0.0.1", self.port, timeout)

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            if self.serve is not None:
                await self.serve(request, writer)
            else:
                writer.write(self.answers[request.split()[1].decode()])
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()


@asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None) -> AsyncIterator[World]:
    """Open the world's only server, on loopback."""
    world = World()
    server = await asyncio.start_server(world.accept, "127.0.0.1", 0, ssl=tls)
    world.port = server.sockets[0].getsockname()[1]
    try:
        yield world
    finally:
        server.close()
        await server.wait_closed()
