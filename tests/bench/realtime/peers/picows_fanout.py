"""picows with a Redis subscriber read by hiredis: PORT REDIS_PORT."""

import asyncio
import sys
from collections import defaultdict

import hiredis
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

subscribers: dict[bytes, set[WSTransport]] = defaultdict(set)


class Client(WSListener):
    """One connection, subscribed to the channel that its path names."""

    def __init__(self, channel: bytes) -> None:
        self.channel = channel

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Subscribe it."""
        subscribers[self.channel].add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a close; pings are answered by picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget it."""
        subscribers[self.channel].discard(transport)


class Redis(asyncio.Protocol):
    """Sends what Redis says to those who subscribed."""

    def __init__(self) -> None:
        self.reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe to everything."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"PSUBSCRIBE *\r\n")

    def data_received(self, data: bytes) -> None:
        """Deliver what is complete."""
        self.reader.feed(data)
        while (message := self.reader.gets()) is not False:
            if message[0] == b"pmessage":
                for transport in subscribers[message[2]]:
                    transport.send(WSMsgType.TEXT, message[3])


def accept(request: WSUpgradeRequest) -> Client:
    """Take any connection."""
    return Client(request.path[1:])


async def main(port: int, redis_port: int) -> None:
    """Serve for ever."""
    server = await ws_create_server(accept, "127.0.0.1", port)
    await asyncio.get_running_loop().create_connection(Redis, "127.0.0.1", redis_port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
