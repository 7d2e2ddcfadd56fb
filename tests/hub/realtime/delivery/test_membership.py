"""Presence, joins and leaves, as clients see them and as the store holds them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from hub.realtime.broker import BrokerUnavailableError
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.delivery.membership import Membership
from hub.realtime.presence import MemoryPresence
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.sessions.subscriptions import Subscription, Terms
from tests.hub.realtime.house import House, Socket, open_house, socket, until
from tests.hub.realtime.sessions.house import NAMESPACES

CHANNEL = "seen:a"
ANN = ClientInfo(user="ann", client="c1")


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    async with open_house(MemoryBroker) as running:
        yield running


async def subscribe(client: Socket, number: int = 2, **fields: Any) -> list[Any]:
    """Subscribe; return the reply and the news of one's own arrival."""
    await client.send({"id": number, "subscribe": {"channel": CHANNEL, **fields}})
    return [await client.receive(), await client.receive()]


async def test_who_joins_and_leaves_is_told_to_all_who_are_there(house: House):
    async with socket(house, "ann") as ann:
        reply, own = await subscribe(ann)
        assert reply == {"id": 2, "subscribe": {}}
        assert own["push"]["join"]["info"]["user"] == "ann"
        async with socket(house, "bob") as bob:
            await subscribe(bob)
            joined = (await ann.receive())["push"]
            assert (joined["channel"], joined["join"]["info"]["user"]) == (CHANNEL, "bob")
            await bob.send({"id": 3, "unsubscribe": {"channel": CHANNEL}})
            assert await bob.receive() == {"id": 3, "unsubscribe": {}}
            left = (await ann.receive())["push"]
            assert left["leave"]["info"] == joined["join"]["info"]


async def test_presence_holds_who_is_subscribed_and_forgets_a_lost_connection(house: House):
    async with socket(house, "ann") as ann:
        await subscribe(ann)
        async with socket(house, "bob") as bob:
            await subscribe(bob)
            await ann.receive()
            await ann.send({"id": 3, "presence": {"channel": CHANNEL}})
            found = (await ann.receive())["presence"]["presence"]
            assert {item["user"] for item in found.values()} == {"ann", "bob"}
            assert all(item["client"] == key for key, item in found.items())
        assert "leave" in (await ann.receive())["push"]
        await ann.send({"id": 4, "presence_stats": {"channel": CHANNEL}})
        assert (await ann.receive())["presence_stats"] == {"num_clients": 1, "num_users": 1}


async def test_a_subscription_that_fails_leaves_nobody_present(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: object) -> None:
        raise BrokerUnavailableError("away")

    async with socket(house, "ann") as ann:
        with monkeypatch.context() as patch:
            patch.setattr(house.hub.presence, "add", broken)
            await ann.send({"id": 2, "subscribe": {"channel": CHANNEL}})
            assert (await ann.receive())["error"]["code"] == 100
        assert await house.hub.presence.get(CHANNEL) == {}
        assert house.hub.channels() == {"taps:ann": 1}


class Hearer:
    """A subscriber without a socket."""

    framing = JSON

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.present: list[tuple[str, ClientInfo]] = []

    def write(self, message: bytes) -> None:
        self.heard.append(message)

    def present_in(self) -> list[tuple[str, ClientInfo]]:
        return self.present


class Slow(MemoryPresence):
    """A presence that takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.renewals = 0

    async def renew(self, entries: Any) -> None:
        self.renewals += 1
        await self.go.wait()
        await super().renew(entries)


def member() -> Subscription:
    terms = Terms(presence=True, announced=True, hears_members=True)
    return Subscription(namespace=NAMESPACES["open"], terms=terms, settled=True)


async def test_a_leave_never_overtakes_its_join():
    order: list[str] = []
    reached, go = asyncio.Event(), asyncio.Event()

    class Broker(MemoryBroker):
        async def publish_join(self, *_: object) -> None:
            reached.set()
            await go.wait()
            order.append("join")

        async def publish_leave(self, *_: object) -> None:
            order.append("leave")

    membership = Membership(Broker(), MemoryPresence(), [], lambda: None)
    hearer, subscription = Hearer(), member()
    membership.settled(hearer, "a", subscription.terms, ANN)
    membership.leave(hearer, "a", subscription, ANN)
    await reached.wait()
    assert order == []
    go.set()
    await membership.close()
    assert order == ["join", "leave"]


async def test_entries_are_renewed_while_their_client_is_there_and_not_brought_back_after():
    hearer, presence = Hearer(), Slow()
    hearer.present = [("a", ANN), ("b", ANN)]
    membership = Membership(MemoryBroker(), presence, [hearer], lambda: None, renew_seconds=0.01)
    membership.start()
    await until(lambda: presence.renewals == 1, "a renewal")
    # It leaves while the renewal is on its way.
    hearer.present = [("a", ANN)]
    presence.go.set()
    await until(lambda: presence.renewals >= 2, "the next renewal")
    await membership.close()
    assert await presence.get("a") == {"c1": ANN}
    assert await presence.get("b") == {}


async def test_presence_that_is_away_is_renewed_at_the_next_turn():
    hearer, turns = Hearer(), 0

    class Away(MemoryPresence):
        async def renew(self, entries: Any) -> None:
            nonlocal turns
            turns += 1
            if turns == 1:
                raise BrokerUnavailableError("away")
            await super().renew(entries)

    presence = Away()
    hearer.present = [("a", ANN)]
    membership = Membership(MemoryBroker(), presence, [hearer], lambda: None, renew_seconds=0.01)
    membership.start()
    await until(lambda: turns >= 2, "two turns")
    await membership.close()
    assert await presence.get("a") == {"c1": ANN}


async def test_news_of_members_follow_the_publications_of_the_same_read():
    hearer, subscription = Hearer(), member()
    membership = Membership(
        MemoryBroker(), MemoryPresence(), [], lambda: hearer.heard.append(b"publication")
    )
    membership.settled(hearer, "a", subscription.terms, ANN)
    membership.on_join("a", ANN)
    membership.on_leave("a", ANN)
    membership.on_join("elsewhere", ANN)
    assert hearer.heard[0] == b"publication"
    assert [b'"join"' in hearer.heard[1], b'"leave"' in hearer.heard[3]] == [True, True]
    assert len(hearer.heard) == 4
    await membership.close()


async def test_a_client_that_does_not_hear_members_is_told_nothing(house: House):
    async with socket(house, "ann") as ann:
        await ann.send({"id": 2, "subscribe": {"channel": "plain:a"}})
        assert await ann.receive() == {"id": 2, "subscribe": {}}
        await house.broker.publish_join("plain:a", ANN)
        await house.publish("plain:a", 1)
        assert "pub" in (await ann.receive())["push"]
