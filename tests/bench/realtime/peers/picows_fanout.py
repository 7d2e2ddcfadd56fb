"""picows with a Redis subscriber: PORT REDIS_PORT."""

import sys
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from redis_reader import listen

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


def accept(request: WSUpgradeRequest) -> Client:
    """Take any connection."""
    return Client(request.path[1:])


def deliver(channel: bytes, message: bytes) -> None:
    """Send a message to those who subscribed."""
    for transport in subscribers[channel]:
        transport.send(WSMsgType.TEXT, message)


async def main(port: int, redis_port: int) -> None:
    """Serve for ever."""
    server = await ws_create_server(accept, "127.0.0.1", port)
    await listen(redis_port, deliver)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
