"""websockets with broadcast() and a Redis subscriber: PORT REDIS_PORT."""

import sys
from collections import defaultdict

import uvloop
from redis_reader import listen
from websockets.asyncio.server import ServerConnection, broadcast, serve

subscribers: dict[str, set[ServerConnection]] = defaultdict(set)


async def subscribe(connection: ServerConnection) -> None:
    """Subscribe a client to the channel that its path names."""
    assert connection.request
    channel = connection.request.path[1:]
    subscribers[channel].add(connection)
    try:
        await connection.wait_closed()
    finally:
        subscribers[channel].discard(connection)


def deliver(channel: bytes, message: bytes) -> None:
    """Send a message to those who subscribed."""
    broadcast(subscribers[channel.decode()], message.decode())


async def main(port: int, redis_port: int) -> None:
    """Serve for ever."""
    async with serve(subscribe, "127.0.0.1", port) as server:
        await listen(redis_port, deliver)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
