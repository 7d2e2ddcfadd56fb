"""The server API of one hub moves the connections of another: two hubs on one Redis."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from core import config
from hub.realtime.cluster.control import Control, control_redis
from hub.realtime.delivery.outlet import Queue
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.presence import RedisPresence
from hub.realtime.server_api.endpoint import server_api_endpoint
from tests.hub.realtime.house import NAMESPACES, App, until
from tests.hub.realtime.server_api.house import KEY


class Phone:
    """A connected client without a socket."""

    def __init__(self, hub: Hub) -> None:
        self._woken = asyncio.Event()
        self.queue = Queue(JSON, 1_000_000, self._woken.set)
        self.connection = hub.open(self.queue, JSON)
        self.said: list[Any] = []

    @property
    def client(self) -> str:
        return self.connection.session.client_id

    @property
    def close_code(self) -> int:
        return self.queue.closing.code if self.queue.closing else 0

    def pushes(self) -> list[Any]:
        while frame := self.queue.take():
            self.said += [msgspec.json.decode(line) for line in frame.splitlines()]
        return [item["push"] for item in self.said if "push" in item]

    async def connect(self, user: str) -> None:
        command = {"id": 1, "connect": {"token": user}}
        await self.connection.receive(msgspec.json.encode(command))
        await until(lambda: self.connection.session.is_connected, "the connection")


class Two:
    """Two hubs, and the API of the first."""

    def __init__(self, hubs: tuple[Hub, Hub], client: httpx.AsyncClient) -> None:
        self.hubs = hubs
        self._client = client

    async def call(self, method: str, /, **request: Any) -> Any:
        answer = (await self._client.post(f"/api/{method}", json=request)).json()
        return answer["result"]

    async def phones(self, *users: str) -> list[list[Phone]]:
        """Connect each user to both hubs; return the two phones of each."""
        opened = [[Phone(hub) for hub in self.hubs] for _ in users]
        for user, phones in zip(users, opened, strict=True):
            for phone in phones:
                await phone.connect(user)
        return opened


@asynccontextmanager
async def open_hub(redis: config.Redis, name: str) -> AsyncGenerator[Hub]:
    broker = RedisBroker(redis)
    hub = Hub(
        config.Realtime(),
        broker,
        NAMESPACES,
        App(),
        presence=RedisPresence(broker.commands, redis.key_prefix),
        control=Control(RedisBroker(control_redis(redis)), name),
    )
    await hub.start()
    yield hub
    await hub.close()


@pytest.fixture
async def two(redis_url: str, redis_prefix: str) -> AsyncGenerator[Two]:
    redis = config.Redis(url=redis_url, key_prefix=redis_prefix)
    async with open_hub(redis, "one") as one, open_hub(redis, "two") as other:
        transport = httpx.ASGITransport(server_api_endpoint(one, [KEY], 100_000))  # pyright: ignore[reportArgumentType]
        headers = {"X-API-Key": KEY}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://hub", headers=headers
        ) as client:
            await until(
                lambda: all(len(hub.control.nodes) == 2 for hub in (one, other)), "both to meet"
            )
            yield Two((one, other), client)
            for hub in (one, other):
                for connection in list(hub.connections):
                    connection.lost()


async def test_a_user_is_disconnected_everywhere_but_for_the_whitelist(two: Two) -> None:
    anns, [*bobs] = await two.phones("ann", "bob")
    await two.call("disconnect", user="ann", whitelist=[anns[0].client])
    await until(lambda: anns[1].close_code, "the close")
    assert (anns[0].close_code, anns[1].close_code) == (0, 3503)
    disconnect = {"code": 4501, "reason": "elsewhere"}
    await two.call("disconnect", user="bob", client=bobs[1].client, disconnect=disconnect)
    await until(lambda: bobs[1].close_code, "the close")
    assert (bobs[0].close_code, bobs[1].close_code) == (0, 4501)


async def test_without_a_name_nobody_is_disconnected(two: Two) -> None:
    [anns] = await two.phones("ann")
    await two.call("disconnect")
    await two.call("disconnect", user="nobody")
    # Orders keep their order: this one is the last.
    await two.call("disconnect", client=anns[1].client)
    await until(lambda: anns[1].close_code, "the close")
    assert anns[0].close_code == 0


async def test_subscriptions_come_and_go_on_every_process(two: Two) -> None:
    [phones] = await two.phones("ann")
    position = await two.call("publish", channel="room:a", data=1)
    since = {"offset": 0, "epoch": position["epoch"]}
    await two.call(
        "subscribe", user="ann", channel="room:a", data={"hello": 1}, recover_since=since
    )
    for phone in phones:
        await until(lambda phone=phone: len(phone.pushes()) >= 2, "subscription and publication")
        subscribed, missed = phone.pushes()[:2]
        assert subscribed["subscribe"]["data"] == {"hello": 1}
        assert (missed["pub"]["data"], missed["pub"]["offset"]) == (1, 1)
    channels = (await two.call("channels", pattern="room:*"))["channels"]
    assert channels == {"room:a": {"num_clients": 2}}
    await two.call("publish", channel="room:a", data=2)
    for phone in phones:
        await until(lambda phone=phone: phone.pushes()[-1].get("pub", {}).get("data") == 2, "it")
    await two.call("unsubscribe", user="ann", channel="room:a")
    for phone in phones:
        await until(lambda phone=phone: "unsubscribe" in phone.pushes()[-1], "the end")
        assert phone.pushes()[-1]["unsubscribe"]["code"] == 2000
    assert (await two.call("channels", pattern="room:*"))["channels"] == {}


async def test_an_override_shows_who_is_there_to_all(two: Two) -> None:
    [phones] = await two.phones("ann")
    override = {"presence": {"value": False}}
    await two.call("subscribe", user="ann", client=phones[0].client, channel="seen:a")
    await two.call(
        "subscribe", user="ann", client=phones[1].client, channel="seen:a", override=override
    )
    for phone in phones:
        await until(lambda phone=phone: "seen:a" in phone.connection.session.subscriptions, "it")
    await until(lambda: any("subscribe" in item for item in phones[1].pushes()), "the second")
    present = (await two.call("presence", channel="seen:a"))["presence"]
    assert present.keys() == {phones[0].client}
    stats = await two.call("presence_stats", channel="seen:a")
    assert stats == {"num_clients": 1, "num_users": 1}


async def test_connections_are_refreshed_or_expire_on_every_process(two: Two) -> None:
    [phones] = await two.phones("ann")
    await two.call("refresh", user="ann", expire_at=int(time.time()) + 100, info={"vip": True})
    for phone in phones:
        await until(lambda phone=phone: phone.connection.session.expires_at > 0, "the refresh")
    await two.call("refresh", user="ann", expired=True)
    for phone in phones:
        await until(lambda phone=phone: phone.close_code == 3005, "the end")


async def test_info_counts_what_each_process_has(two: Two) -> None:
    await two.phones("ann", "bob")
    nodes = {node["uid"]: node for node in (await two.call("info"))["nodes"]}
    assert nodes.keys() == {"one", "two"}
    for node in nodes.values():
        assert (node["num_clients"], node["num_users"]) == (2, 2)
        assert node["num_subs"] == node["num_channels"] == 2
