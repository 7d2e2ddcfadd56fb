"""A virtual controller offered over TCP, as H4 packets, to a host in another process.

One host at a time: a new one takes the controller over, because the old one may be dead without
its connection saying so. When a host goes, the controller is reset: its links end, rings advertise.
"""

import asyncio
from collections.abc import Callable

from bumble import core
from bumble.transport.common import PacketParser

from core import log
from firmware_bridge.virtual.controller import RadioController

_log = log.get("rings")


class HciServer:
    """Serves one controller; `port` is known after `start`."""

    def __init__(self, controller: RadioController) -> None:
        self.controller = controller
        self.port = 0
        self._session: _Session | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self.controller, self._take_over, self._release), host, port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Send the host away and stop listening."""
        if self._server is not None:
            self._server.close()
        if self._session is not None:
            self._session.close()
            self._release(self._session)
        if self._server is not None:
            await self._server.wait_closed()

    def _take_over(self, session: "_Session") -> None:
        if self._session is not None:
            self._session.close()
            self._release(self._session)
        self._session = session
        self.controller.host = session
        _log.info("hci_host_attached")

    def _release(self, session: "_Session") -> None:
        if self._session is session:
            self._session = None
            self.controller.host = None
            self.controller.reset()
            _log.info("hci_host_detached")


class _Session(asyncio.Protocol):
    """One TCP connection: packets from the host to the controller, and back as its sink."""

    def __init__(
        self,
        controller: RadioController,
        on_open: Callable[["_Session"], None],
        on_close: Callable[["_Session"], None],
    ) -> None:
        # A parser of its own: the half packet of a killed host must not spoil the next one's.
        self._parser = PacketParser(controller)
        self._on_open = on_open
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # create_server makes these
        self._transport = transport
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return  # taken over
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError:
            _log.warning("hci_bytes_malformed")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # why is of no use
        self._transport = None
        self._on_close(self)

    def on_packet(self, packet: bytes) -> None:
        """Send a packet of the controller to the host."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet)

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
