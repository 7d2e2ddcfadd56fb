"""Why somebody receives nothing: each cause is found, and what is well is not accused."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from hub.realtime.broker import BrokerUnavailableError, PublishRequest, StreamPosition
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster import diagnosis
from hub.realtime.cluster.control import Control
from hub.realtime.cluster.messages import (
    Answer,
    AnyOrder,
    ConnectionState,
    DescribeUser,
    NodeInfo,
    Question,
    Refusal,
    SubscriptionState,
    UserState,
)
from tests.hub.realtime.test_brokers_alike import KEPT

OWN = "taps:ann"
REFUSED = Refusal(at=1, method="subscribe", channel="room:x", code=103, reason="permission denied")


class Process:
    """A process with the connections that a test gives it."""

    def __init__(self) -> None:
        self.connections: list[ConnectionState] = []
        self.refusals: tuple[Refusal, ...] = ()

    def on_order(self, order: AnyOrder) -> None:
        raise AssertionError(order)

    def on_orders_lost(self) -> None:
        raise AssertionError

    async def on_question(self, question: Question) -> Answer:
        assert question == DescribeUser("ann")
        return UserState(tuple(self.connections), self.refusals)

    def describe(self) -> NodeInfo:
        return NodeInfo(uid="here")

    def connect(
        self, *positions: tuple[str, StreamPosition | None], waiting_bytes: int = 0
    ) -> None:
        self.connections.append(
            ConnectionState(
                client="c-1",
                transport="websocket",
                format="json",
                connected_at_ms=1_700_000_000_000,
                waiting_bytes=waiting_bytes,
                subscriptions=tuple(
                    SubscriptionState(channel=channel, by_server=True, position=position)
                    for channel, position in positions
                ),
            )
        )


class House:
    """A process, its broker, and the diagnosis of its only user."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.control = Control(MemoryBroker(), "here")
        self.process = Process()

    async def publish(self, channel: str = OWN) -> StreamPosition:
        return await self.broker.publish(PublishRequest(channel=channel, data=b"1", history=KEPT))

    async def findings(self, *expected: str) -> list[tuple[str, str]]:
        found = await diagnosis.diagnose(self.broker, self.control, "ann", expected or (OWN,))
        return [(item.code, item.channel) for item in found.findings]


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    house = House()
    await house.control.start(house.process)
    yield house
    await house.control.close()


async def test_who_has_everything_gets_no_finding(house: House) -> None:
    top = await house.publish()
    house.process.connect((OWN, top))
    assert await house.findings() == []


async def test_without_a_socket_nothing_can_arrive(house: House) -> None:
    await house.publish()
    assert await house.findings() == [("no_connection", "")]


async def test_a_channel_that_nobody_published_in_is_named(house: House) -> None:
    top = (await house.broker.history(OWN, limit=0)).top
    house.process.connect((OWN, top))
    assert await house.findings() == [("never_published", OWN)]


async def test_a_missing_subscription_is_named(house: House) -> None:
    await house.publish()
    top = await house.publish("room:a")
    house.process.connect(("room:a", top))
    assert await house.findings() == [("not_subscribed", OWN)]


async def test_a_process_that_is_behind_is_named(house: House) -> None:
    top = await house.publish()
    house.process.connect((OWN, StreamPosition(top.offset - 1, top.epoch)))
    house.process.connect((OWN, StreamPosition(top.offset, "older")))
    house.process.connect((OWN, None))
    assert await house.findings() == [("behind", OWN)] * 3


async def test_what_arrived_since_the_stream_was_read_is_not_behind(house: House) -> None:
    top = await house.publish()
    house.process.connect((OWN, StreamPosition(top.offset + 3, top.epoch)))
    assert await house.findings() == []


async def test_a_client_that_does_not_read_is_named(house: House) -> None:
    house.process.connect((OWN, await house.publish()), waiting_bytes=500_000)
    assert await house.findings() == [("slow", "")]


async def test_the_last_refusal_is_named(house: House) -> None:
    house.process.connect((OWN, await house.publish()))
    house.process.refusals = (REFUSED,)
    assert await house.findings() == [("refused", "room:x")]


async def test_a_broker_that_is_away_is_the_first_cause(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any, **_more: Any) -> None:
        raise BrokerUnavailableError

    monkeypatch.setattr(house.broker, "history", away)
    house.process.connect((OWN, StreamPosition(1, "e")))
    found = await diagnosis.diagnose(house.broker, house.control, "ann", [OWN])
    assert [item.code for item in found.findings] == ["broker_unavailable"]
    assert (found.broker_answer_seconds, found.streams) == (None, ())
    assert found.connections[0].node == "here"
