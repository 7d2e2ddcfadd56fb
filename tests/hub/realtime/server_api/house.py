"""The server API over a hub's parts in memory, called as an HTTP server would call it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from core import config
from hub.realtime.broker import Broker
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster.control import Control, control_redis
from hub.realtime.cluster.messages import (
    Answer,
    AnyOrder,
    ChannelList,
    ListChannels,
    NodeInfo,
    Question,
)
from hub.realtime.namespaces import Namespace
from hub.realtime.operations import Procedure
from hub.realtime.presence import MemoryPresence, Presence
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.presence import RedisPresence
from hub.realtime.server_api.endpoint import server_api_endpoint

KEY = "a-key"
MAX_BODY_BYTES = 10_000
KEPT = Namespace(history_size=100, history_ttl_seconds=600, presence=True)
NAMESPACES = {
    "room": KEPT,
    "plain": Namespace(),
    "bytes": Namespace(publication_data_format="binary"),
    "object": Namespace(publication_data_format="json_object"),
}


class Node:
    """One process as its control sees it: remembers orders, answers questions."""

    def __init__(self, uid: str, channels: dict[str, int] | None = None) -> None:
        self.uid = uid
        self.orders: list[AnyOrder] = []
        self.channels = channels or {}

    def on_order(self, order: AnyOrder) -> None:
        self.orders.append(order)

    def on_orders_lost(self) -> None:
        raise AssertionError("no order can be lost here")

    async def on_question(self, question: Question) -> Answer:
        if isinstance(question, ListChannels):
            return ChannelList(self.channels)
        return self.describe()

    def describe(self) -> NodeInfo:
        return NodeInfo(
            uid=self.uid,
            name="here",
            version="1",
            num_clients=3,
            num_users=2,
            messages_sent=50,
            messages_received=40,
        )


class Parts:
    """What operations need of a hub."""

    def __init__(self, broker: Broker, control: Control, presence: Presence | None = None) -> None:
        self.broker = broker
        self.presence = presence or MemoryPresence()
        self.control = control
        self.procedures: dict[str, Procedure] = {}

    def namespace_of(self, channel: str) -> Namespace | None:
        return NAMESPACES.get(channel.partition(":")[0])


class Api:
    """A client of the API, and what is behind it."""

    def __init__(self, client: httpx.AsyncClient, parts: Parts, node: Node) -> None:
        self.client = client
        self.parts = parts
        self.node = node

    async def call(self, method: str, /, **request: Any) -> Any:
        """Return the answer of one method, which always comes with status 200."""
        answer = await self.client.post(f"/api/{method}", json=request)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return answer.json()

    async def stored(self, channel: str) -> list[Any]:
        """Return the payloads of a stream."""
        history = await self.parts.broker.history(channel)
        return [json.loads(item.payload) for item in history.publications]


@asynccontextmanager
async def served(api: Api) -> AsyncGenerator[str]:
    """Serve it on a port; yield the address that libraries are given."""
    app = server_api_endpoint(api.parts, [KEY], MAX_BODY_BYTES)
    settings = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")  # pyright: ignore[reportArgumentType]
    settings.load()
    server = uvicorn.Server(settings)
    server.lifespan = settings.lifespan_class(settings)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/api"
    await server.shutdown()


@asynccontextmanager
async def open_api(*keys: str, key: str = KEY) -> AsyncGenerator[Api]:
    """Open the API with these keys (KEY when none is given), for a client that sends `key`."""
    parts = Parts(MemoryBroker(), Control(MemoryBroker(), "node-1"))
    node = Node("node-1", {"room:a": 2, "plain:b": 1})
    async with _opened(parts, node, keys or (KEY,), key) as api:
        yield api


@asynccontextmanager
async def open_process(redis: config.Redis, node: Node) -> AsyncGenerator[Api]:
    """Open the API of one process of several that share a Redis."""
    broker = RedisBroker(redis)
    control = Control(RedisBroker(control_redis(redis)), node.uid)
    async with _opened(
        Parts(broker, control, RedisPresence(broker.commands, redis.key_prefix)), node, (KEY,), KEY
    ) as api:
        yield api


@asynccontextmanager
async def _opened(parts: Parts, node: Node, keys: tuple[str, ...], key: str) -> AsyncGenerator[Api]:
    await parts.broker.start()
    await parts.control.start(node)
    app = server_api_endpoint(parts, keys, MAX_BODY_BYTES)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),  # pyright: ignore[reportArgumentType]
        base_url="http://hub",
        headers={"X-API-Key": key},
    ) as client:
        yield Api(client, parts, node)
    await parts.control.close()
    await parts.broker.close()
