"""The official Python SDK as the judge: it connects, is cut off, and misses nothing."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from centrifuge import (
    Client,
    ClientEventHandler,
    ClientState,
    SubscriptionEventHandler,
)

from core import config
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.redis.broker import RedisBroker
from tests.hub.realtime.house import KEPT, House, open_house, until


class Phone(ClientEventHandler):
    """An app: remembers what its user would have seen."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.recovered: list[bool] = []
        self.disconnected: list[int] = []
        self.errors: list[Any] = []
        self.connects = 0

    async def on_connected(self, ctx: Any) -> None:  # noqa: ARG002  # the SDK's signature
        self.connects += 1

    async def on_subscribed(self, ctx: Any) -> None:
        if ctx.was_recovering:
            self.recovered.append(ctx.recovered)

    async def on_publication(self, ctx: Any) -> None:
        self.seen.append(ctx.pub.data)

    async def on_disconnected(self, ctx: Any) -> None:
        self.disconnected.append(ctx.code)

    async def on_error(self, ctx: Any) -> None:
        self.errors.append(ctx.error)


class Room(SubscriptionEventHandler):
    """The app's own subscription beside those of the server."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.recovered: list[bool] = []
        self.errors: list[int] = []

    async def on_subscribed(self, ctx: Any) -> None:
        if ctx.was_recovering:
            self.recovered.append(ctx.recovered)

    async def on_publication(self, ctx: Any) -> None:
        self.seen.append(ctx.pub.data)

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.errors.append(ctx.code)


Dial = Callable[..., Awaitable[Client]]


@pytest.fixture
async def dial() -> AsyncGenerator[Dial]:
    clients: list[Client] = []

    async def dial(house: House, phone: Phone, token: str = "ann", **options: Any) -> Client:
        client = Client(house.url, token=token, events=phone, min_reconnect_delay=0.01, **options)
        clients.append(client)
        await client.connect()
        return client

    yield dial
    for client in clients:
        await client.disconnect()


async def test_server_side_subscriptions_need_no_code_but_a_handler(dial: Dial):
    async with open_house(MemoryBroker) as house:
        phone = Phone()
        client = await dial(house, phone)
        await client.ready(5)
        await house.publish("taps:ann", {"tap": 1})
        await house.publish("taps:bob", {"tap": 2})
        await house.publish("taps:ann", {"tap": 3})
        await until(lambda: len(phone.seen) == 2)
        assert phone.seen == [{"tap": 1}, {"tap": 3}]


async def test_a_killed_hub_costs_no_publication(dial: Dial, redis_url: str, redis_prefix: str):
    settings = config.Redis(url=redis_url, key_prefix=redis_prefix)
    async with open_house(lambda: RedisBroker(settings)) as house:
        phone, room = Phone(), Room()
        client = await dial(house, phone)
        subscription = client.new_subscription("room:a", events=room)
        await subscription.subscribe()
        await subscription.ready(5)
        relay = RedisBroker(settings)
        await relay.start()
        for number in range(10):
            await publish(relay, "taps:ann", number)
            await publish(relay, "room:a", number)
        await until(lambda: len(phone.seen) == len(room.seen) == 10)
        await house.stop()
        for number in range(10, 30):
            await publish(relay, "taps:ann", number)
            await publish(relay, "room:a", number)
        await house.start()
        await until(lambda: len(phone.seen) >= 30 and len(room.seen) >= 30)
        assert phone.seen == room.seen == list(range(30))
        assert phone.recovered == room.recovered == [True]
        await relay.close()


async def test_a_thousand_forced_reconnects_lose_double_and_reorder_nothing(
    dial: Dial, redis_url: str, redis_prefix: str
):
    await reconnect_often(dial, redis_url, redis_prefix, 1000)


async def reconnect_often(dial: Dial, url: str, prefix: str, reconnects: int) -> None:
    """Cut clients of both formats again and again; each comes back at the other of two hubs."""
    settings = config.Redis(url=url, key_prefix=prefix)
    async with (
        open_house(lambda: RedisBroker(settings)) as here,
        open_house(lambda: RedisBroker(settings)) as there,
    ):
        phones = [Phone() for _ in range(6)]
        rooms = [Room() for _ in phones]
        clients: list[Client] = []
        for number, (phone, room) in enumerate(zip(phones, rooms, strict=True)):
            client = await dial(here, phone, use_protobuf=number % 2 == 0)
            clients.append(client)
            subscription = client.new_subscription("room:a", events=room)
            await subscription.subscribe()
            await subscription.ready(5)
        relay = RedisBroker(settings)
        await relay.start()
        done = asyncio.Event()
        published = asyncio.create_task(publish_until(relay, done))
        while sum(phone.connects for phone in phones) - len(phones) < reconnects:
            # Only who is connected: cuts during a handshake make the SDK back off for seconds.
            up = [client for client in clients if client.state == ClientState.CONNECTED]
            if up:
                client = random.choice(up)
                client._address = random.choice((here.url, there.url))  # pyright: ignore[reportPrivateUsage]
                client._conn.transport.abort()  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
            await asyncio.sleep(0.003)
        done.set()
        count = await published
        await until(
            lambda: all(len(item.seen) >= count for item in (*phones, *rooms)),
            "everybody to have caught up",
            20,
        )
        for item in (*phones, *rooms):
            assert [int(data) for data in item.seen] == list(range(count))
            assert all(item.recovered)
        assert sum(len(item.recovered) for item in phones) >= reconnects
        await relay.close()


async def publish(relay: RedisBroker, channel: str, number: int) -> None:
    await relay.publish(PublishRequest(channel=channel, data=b"%d" % number, history=KEPT))


async def publish_until(relay: RedisBroker, done: asyncio.Event) -> int:
    number = 0
    while not done.is_set():
        await relay.publish_many(
            [
                PublishRequest(channel=channel, data=b"%d" % number, history=KEPT)
                for channel in ("taps:ann", "room:a")
            ]
        )
        number += 1
        await asyncio.sleep(0.005)
    return number


async def test_the_sdk_refreshes_its_token_before_it_expires(dial: Dial):
    settings = config.Realtime(expired_close_delay_seconds=0.5)
    tokens = 0

    async def get_token() -> str:
        nonlocal tokens
        tokens += 1
        return f"ann@{int(time.time()) + 2}"

    async with open_house(MemoryBroker, settings) as house:
        phone = Phone()
        await dial(house, phone, token="", get_token=get_token)
        await until(lambda: tokens >= 3, "two refreshes")
        await house.publish("taps:ann", 1)
        await until(lambda: phone.seen == [1])
        assert phone.connects == 1
        assert phone.errors == []


async def test_an_expired_token_is_replaced_by_the_sdk_and_the_stream_goes_on(dial: Dial):
    async def get_token() -> str:
        return "ann"

    async with open_house(MemoryBroker) as house:
        phone = Phone()
        client = await dial(house, phone, token="ann@1000", get_token=get_token)
        await client.ready(5)
        await house.publish("taps:ann", 1)
        await until(lambda: phone.seen == [1])
        assert phone.errors[0].code == 109


async def test_a_forged_token_ends_the_client_for_good(dial: Dial):
    async with open_house(MemoryBroker) as house:
        phone = Phone()
        client = await dial(house, phone, token="bad")
        await until(lambda: phone.disconnected)
        assert phone.disconnected == [3500]
        assert client.state == ClientState.DISCONNECTED


async def test_refused_subscriptions_reach_the_app_with_their_codes(dial: Dial):
    async with open_house(MemoryBroker) as house:
        client = await dial(house, Phone(), token="bob")
        await client.ready(5)
        for channel, code in (("nope:x", 102), ("room:secret", 103)):
            room = Room()
            await client.new_subscription(channel, events=room).subscribe()
            await until(lambda room=room: room.errors)
            assert room.errors == [code]


async def test_a_stream_that_is_gone_is_told_and_the_sdk_goes_on_from_the_top(dial: Dial):
    async with open_house(MemoryBroker) as house:
        phone = Phone()
        client = await dial(house, phone)
        await client.ready(5)
        await house.publish("taps:ann", 1)
        await until(lambda: phone.seen == [1])
        await house.stop()
        await house.start()  # a new memory: a new epoch
        await until(lambda: phone.connects == 2)
        await house.publish("taps:ann", 2)
        await until(lambda: phone.seen == [1, 2])
        assert phone.recovered == [False]


async def test_history_and_publish_work_through_the_sdk(dial: Dial):
    async with open_house(MemoryBroker) as house:
        room = Room()
        client = await dial(house, Phone())
        subscription = client.new_subscription("room:a", events=room)
        await subscription.subscribe()
        for number in (1, 2, 3):
            await subscription.publish({"n": number})
        await until(lambda: len(room.seen) == 3)
        result = await subscription.history(limit=2, reverse=True)
        assert [item.data for item in result.publications] == [{"n": 3}, {"n": 2}]
        assert result.offset == 3
