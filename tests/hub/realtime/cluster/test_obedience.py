"""Orders from other processes, and what they may ask, on connections of this one."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster.messages import (
    ChannelList,
    DescribeNode,
    DescribeUser,
    Disconnect,
    Emulate,
    EmulateResult,
    ListChannels,
    NodeInfo,
    Refresh,
    Revoke,
    Subscribe,
    Unsubscribe,
    UserState,
)
from hub.realtime.tokens.claims import ConnectClaims
from tests.hub.realtime.house import House, Socket, open_house, socket, until


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    async with open_house(MemoryBroker) as running:
        yield running


def client_id(house: House, user: str) -> str:
    (connection,) = house.hub.directory.find(user)
    return connection.session.client_id


async def closed(client: Socket) -> int:
    return (await client.closed())[0]


async def test_a_user_is_disconnected_and_others_stay(house: House):
    async with socket(house, "ann") as ann, socket(house, "bob") as bob:
        await house.hub.control.send(Disconnect(user="ann", code=4100, reason="go"))
        assert await ann.closed() == (4100, "go")
        assert house.hub.directory.user_count == 1
        await bob.send({"id": 2, "rpc": {"method": "echo", "data": 1}})
        assert "rpc" in await bob.receive()


async def test_one_client_can_be_meant_or_spared(house: House):
    async with socket(house, "ann") as first, socket(house, "ann") as second:
        one, two = (item.session.client_id for item in house.hub.directory.find("ann"))
        await house.hub.control.send(Disconnect(user="ann", whitelist=(one, two)))
        await house.hub.control.send(Disconnect(client="somebody"))
        await house.hub.control.send(Disconnect())
        assert len(house.hub.connections) == 2
        await house.hub.control.send(Disconnect(user="ann", client=one))
        await until(lambda: len(house.hub.connections) == 1)
        (left,) = house.hub.directory.find("ann")
        assert left.session.client_id == two
        await house.hub.control.send(Disconnect(client=two))
        assert {await closed(first), await closed(second)} == {3503}


async def test_subscriptions_come_and_go_on_order(house: House):
    async with socket(house, "ann") as ann:
        await house.publish("room:a", 1)
        await house.hub.control.send(
            Subscribe(user="ann", channel="room:a", data=b'{"hello":1}', force_recovery=True)
        )
        push = (await ann.receive())["push"]
        assert push["channel"] == "room:a"
        assert (push["subscribe"]["offset"], push["subscribe"]["data"]) == (1, {"hello": 1})
        await house.publish("room:a", 2)
        assert (await ann.receive())["push"]["pub"]["offset"] == 2
        await house.hub.control.send(Unsubscribe(user="ann", channel="room:a"))
        assert (await ann.receive())["push"]["unsubscribe"]["code"] == 2000
        assert house.hub.channels() == {"taps:ann": 1}


async def test_a_subscription_on_order_brings_what_was_missed(house: House):
    for number in range(3):
        await house.publish("room:a", number)
    top = await house.broker.history("room:a", limit=0)
    since = type(top.top)(1, top.top.epoch)
    async with socket(house, "ann") as ann:
        await house.hub.control.send(Subscribe(user="ann", channel="room:a", recover_since=since))
        assert (await ann.receive())["push"]["subscribe"]["offset"] == 1
        assert [(await ann.receive())["push"]["pub"]["data"] for _ in range(2)] == [1, 2]


async def test_connections_are_refreshed_or_let_expire_on_order(house: House):
    async with socket(house, "ann") as ann:
        expire_at = int(time.time()) + 600
        await house.hub.control.send(Refresh(user="ann", expire_at=expire_at, info=b'{"n":1}'))
        push = (await ann.receive())["push"]["refresh"]
        assert push["expires"]
        assert 598 <= push["ttl"] <= 600
        (connection,) = house.hub.directory.find("ann")
        assert bytes(connection.info("room:a").conn_info) == b'{"n":1}'
        await house.hub.control.send(Refresh(user="ann", expired=True))
        assert await closed(ann) == 3005


async def test_data_is_pushed_to_whom_it_is_meant_for(house: House):
    async with socket(house, "ann") as ann, socket(house, "bob"):
        assert house.hub.message(b'{"n":1}', user="ann") == 1
        assert await ann.receive() == {"push": {"message": {"data": {"n": 1}}}}
        assert house.hub.message(b"1", user="eve") == 0


async def test_a_session_that_ended_loses_its_sockets_and_gets_no_new_ones(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def verify(token: str, _request: object) -> ConnectClaims:
        return ConnectClaims(user=token, session_id=f"of-{token}")

    monkeypatch.setattr(house.app, "verify_connection", verify)
    async with socket(house, "ann") as ann, socket(house, "bob") as bob:
        await house.hub.control.send(Revoke(sign_in_session="of-ann"))
        assert await closed(ann) == 3503
        async with socket(house) as again:
            await again.send({"id": 1, "connect": {"token": "ann"}})
            assert await closed(again) == 3500
        await bob.send({"id": 2, "refresh": {"token": "bob"}})
        assert await bob.receive() == {"id": 2, "refresh": {}}


async def test_an_order_finds_a_connection_that_is_still_being_made(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    reading, go = asyncio.Event(), asyncio.Event()
    history = house.broker.history

    async def slow(*arguments: object, **options: object) -> object:
        reading.set()
        await go.wait()
        return await history(*arguments, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(house.broker, "history", slow)
    async with socket(house) as ann:
        await ann.send({"id": 1, "connect": {"token": "ann"}})
        await reading.wait()
        await house.hub.control.send(Disconnect(user="ann"))
        assert await closed(ann) == 3503
        go.set()
    assert house.hub.channels() == {}


async def test_the_process_tells_what_it_has(house: House):
    async with socket(house, "ann") as ann:
        await ann.send({"id": 2, "subscribe": {"channel": "room:a"}})
        await ann.receive()
        await ann.send({"id": 3, "subscribe": {"channel": "nope:x"}})
        await ann.receive()
        control, node = house.hub.control, house.hub.node_id
        (found,) = (await control.survey(ListChannels("room:*"), 1)).answers.values()
        assert found == ChannelList({"room:a": 1})
        info = (await control.survey(DescribeNode(), 1)).answers[node]
        assert isinstance(info, NodeInfo)
        assert (info.num_clients, info.num_users, info.num_subs, info.num_channels) == (1, 1, 2, 2)
        state = (await control.survey(DescribeUser("ann"), 1)).answers[node]
        assert isinstance(state, UserState)
        (connection,) = state.connections
        assert (connection.client, connection.format) == (client_id(house, "ann"), "json")
        positions = {item.channel: item.position for item in connection.subscriptions}
        assert set(positions) == {"taps:ann", "room:a"}
        assert all(item and item.epoch for item in positions.values())
        (refusal,) = state.refusals
        assert (refusal.method, refusal.channel, refusal.code) == ("subscribe", "nope:x", 102)


async def test_nobody_is_reached_by_a_session_that_is_not_here(house: House):
    answers = (await house.hub.control.survey(Emulate("nobody", b"{}"), 1)).answers
    assert list(answers.values()) == [EmulateResult(found=False)]


async def test_when_orders_were_lost_everybody_comes_back_with_a_token(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    told: list[bool] = []
    monkeypatch.setattr(house.hub, "on_orders_lost", lambda: told.append(True))
    async with socket(house, "ann") as ann:
        house.hub._obedience.on_orders_lost()
        assert await closed(ann) == 3011
    assert told == [True]
