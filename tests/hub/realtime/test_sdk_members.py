"""The official Python SDK, in both formats, on members, calls, tokens and the server's orders."""

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from centrifuge import CentrifugeError, Client, ClientEventHandler, SubscriptionEventHandler

from core import config
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster.messages import Disconnect, Subscribe, Unsubscribe
from tests.hub.realtime.house import House, open_house, until

SETTINGS = config.Realtime(
    expired_close_delay_seconds=0.2, expired_subscription_close_delay_seconds=0.2
)


class App(ClientEventHandler):
    """An app that keeps what its client tells it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def on_subscribed(self, ctx: Any) -> None:
        self.events.append(("subscribed", ctx.channel))

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.events.append(("unsubscribed", ctx.channel))

    async def on_publication(self, ctx: Any) -> None:
        self.events.append(("publication", ctx.channel))

    async def on_disconnected(self, ctx: Any) -> None:
        self.events.append(("disconnected", ctx.code))

    async def on_connecting(self, ctx: Any) -> None:
        self.events.append(("connecting", ctx.code))


class Room(SubscriptionEventHandler):
    """A subscription that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def on_join(self, ctx: Any) -> None:
        self.events.append(("join", ctx.info.user))

    async def on_leave(self, ctx: Any) -> None:
        self.events.append(("leave", ctx.info.user))

    async def on_subscribing(self, ctx: Any) -> None:
        self.events.append(("subscribing", ctx.code))

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.events.append(("unsubscribed", ctx.code))


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    async with open_house(MemoryBroker, SETTINGS) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["json", "protobuf"])
def protobuf(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def dial(house: House, user: str, protobuf: bool, **options: Any) -> Client:
    url = f"{house.url}?format=protobuf" if protobuf else house.url
    return Client(url, token=user, use_protobuf=protobuf, min_reconnect_delay=0.01, **options)


async def test_members_of_a_room_see_each_other(house: House, protobuf: bool):
    ann, bob = dial(house, "ann", protobuf), dial(house, "bob", protobuf)
    await ann.connect()
    await bob.connect()
    events = Room()
    room = ann.new_subscription("seen:a", events=events)
    await room.subscribe()
    await room.ready()
    other = bob.new_subscription("seen:a")
    await other.subscribe()
    await other.ready()
    await until(lambda: ("join", "bob") in events.events)
    found = await room.presence()
    assert {item.user for item in found.clients.values()} == {"ann", "bob"}
    stats = await room.presence_stats()
    assert (stats.num_clients, stats.num_users) == (2, 2)
    await bob.disconnect()
    await until(lambda: ("leave", "bob") in events.events)
    assert (await room.presence_stats()).num_clients == 1
    await ann.disconnect()
    await until(lambda: not house.hub.connections)


async def test_procedures_answer_and_refuse(house: House, protobuf: bool):
    client = dial(house, "ann", protobuf)
    await client.connect()
    data: Any = b'{"n":1}' if protobuf else {"n": 1}
    answer: Any = (await client.rpc("echo", data)).data
    assert (json.loads(answer) if protobuf else answer) == {"user": "ann", "data": {"n": 1}}
    with pytest.raises(CentrifugeError) as refused:
        await client.rpc("refuse", data)
    assert getattr(refused.value, "code", 0) == 404
    with pytest.raises(CentrifugeError) as unknown:
        await client.rpc("unknown", data)
    assert getattr(unknown.value, "code", 0) == 104
    await client.disconnect()


async def test_the_server_changes_a_clients_subscriptions(house: House, protobuf: bool):
    app = App()
    client = dial(house, "ann", protobuf, events=app)
    await client.connect()
    await client.ready()
    await house.hub.control.send(Subscribe(user="ann", channel="room:a"))
    await until(lambda: ("subscribed", "room:a") in app.events)
    await house.publish("room:a", 1)
    await until(lambda: ("publication", "room:a") in app.events)
    await house.hub.control.send(Unsubscribe(user="ann", channel="room:a"))
    await until(lambda: ("unsubscribed", "room:a") in app.events)
    await house.hub.control.send(Disconnect(user="ann"))
    await until(lambda: ("disconnected", 3503) in app.events)


async def test_a_subscription_token_is_renewed_in_time(house: House, protobuf: bool):
    client, asked = dial(house, "ann", protobuf), 0

    async def get_token(channel: str) -> str:
        nonlocal asked
        asked += 1
        return f"ann|{channel}|{int(time.time()) + 2}"

    events = Room()
    room = client.new_subscription("$plain:a", events=events, get_token=get_token)
    await client.connect()
    await room.subscribe()
    await room.ready()
    await until(lambda: asked >= 2, "a renewal")
    (connection,) = house.hub.connections
    assert connection.session.subscriptions["$plain:a"].settled
    assert [name for name, _ in events.events] == ["subscribing"]
    await client.disconnect()


async def test_a_connection_token_is_renewed_in_time(house: House, protobuf: bool):
    app, asked = App(), 0

    async def get_token() -> str:
        nonlocal asked
        asked += 1
        return f"ann@{int(time.time()) + 2}"

    client = dial(house, "", protobuf, events=app, get_token=get_token)
    await client.connect()
    await until(lambda: asked >= 2, "a renewal")
    assert len(house.hub.connections) == 1
    assert [name for name, _ in app.events] == ["connecting", "subscribed"]
    await client.disconnect()
