"""websockets with broadcast() and a Redis subscriber: PORT REDIS_PORT."""

import asyncio
import sys
from collections import defaultdict

import uvloop
from redis.asyncio import Redis
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


async def deliver(redis_port: int) -> None:
    """Send what Redis says to those who subscribed."""
    async with Redis(port=redis_port).pubsub() as pubsub:
        await pubsub.psubscribe("*")
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                broadcast(subscribers[message["channel"].decode()], message["data"].decode())


async def main(port: int, redis_port: int) -> None:
    """Serve for ever."""
    async with serve(subscribe, "127.0.0.1", port):
        await asyncio.create_task(deliver(redis_port))


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
