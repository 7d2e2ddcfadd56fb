"""Redis goes away for a while, in every manner, under two hubs that stay up and miss nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, suppress

import pytest
import redis.asyncio

from core import config
from hub.realtime.broker import BrokerUnavailableError, PublishRequest
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import running_seconds
from tests.hub.realtime.house import KEPT, House, Socket, open_house, socket, until

RED_SECONDS = 2.0
CATCH_UP_SECONDS = 5.0
LONG = [
    3,
    pytest.param(30, marks=pytest.mark.soak),
    pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
]


class Reader:
    """A client that notes what it gets in each channel, and why it was closed if it was."""

    def __init__(self, client: Socket) -> None:
        self.client = client
        self.seen: dict[str, list[int]] = {}
        self.others: list[object] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):  # nothing comes while Redis is away
                message = await self.client.receive()
                push = message.get("push", {})
                if "pub" in push:
                    self.seen.setdefault(push["channel"], []).append(push["pub"]["data"])
                else:
                    self.others.append(message)


class Town:
    """One Redis, two hubs with clients, and a relay that goes on whatever happens."""

    def __init__(
        self, server: RestartableRedis, houses: list[House], relay: RedisBroker, rate: float
    ) -> None:
        self.server = server
        self.houses = houses
        self.readers: list[Reader] = []
        self.count = 0
        self._relay = relay
        self._pause_seconds = 1 / rate
        self.task = asyncio.create_task(self._publish())

    @property
    def is_red(self) -> bool:
        return not any(house.broker.healthy for house in self.houses)

    async def _publish(self) -> None:
        while True:
            requests = [
                PublishRequest(
                    channel=channel,
                    data=b"%d" % self.count,
                    history=KEPT,
                    idempotency_key=str(self.count),
                )
                for channel in ("room:a", "taps:ann")
            ]
            try:
                await self._relay.publish_many(requests)
            except BrokerUnavailableError:
                await asyncio.sleep(0.02)
                continue
            self.count += 1
            await asyncio.sleep(self._pause_seconds)

    async def everybody_has_everything(self, seconds: float = CATCH_UP_SECONDS) -> None:
        """Wait until all clients have what is published by now, in order and once."""
        count = self.count
        await until(
            lambda: all(
                len(reader.seen.get(channel, [])) >= count
                for reader in self.readers
                for channel in ("room:a", "taps:ann")
            ),
            f"{count} publications everywhere",
            seconds,
        )
        for reader in self.readers:
            for channel, seen in reader.seen.items():
                assert seen == list(range(len(seen))), channel
            assert reader.others == []
            assert not reader.task.done()


@pytest.fixture
async def town(start_redis: Callable[[], RestartableRedis]) -> AsyncGenerator[Town]:
    server = start_redis()
    settings = config.Redis(url=server.url, call_deadline_seconds=1.0)
    async with AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(open_house(lambda: RedisBroker(settings)))
            for _ in range(2)
        ]
        clients = [
            await stack.enter_async_context(socket(house, "ann"))
            for house in houses
            for _ in range(3)
        ]
        for client in clients:
            for channel in ("room:a", "plain:a"):
                await client.send({"id": 9, "subscribe": {"channel": channel}})
                assert "subscribe" in await client.receive()
        relay = RedisBroker(settings)
        await relay.start()
        stack.push_async_callback(relay.close)
        town = Town(server, houses, relay, rate=3.0)
        town.readers = [Reader(client) for client in clients]
        yield town
        for task in (town.task, *(reader.task for reader in town.readers)):
            task.cancel()
        await asyncio.gather(
            town.task, *(reader.task for reader in town.readers), return_exceptions=True
        )


@pytest.mark.parametrize("seconds", [1, *LONG])
async def test_after_redis_was_killed_everybody_gets_everything(town: Town, seconds: int):
    await until(lambda: town.count >= 3)
    town.server.kill()
    await until(lambda: town.is_red, "readiness to go red", RED_SECONDS)
    await asyncio.sleep(seconds)
    town.server.restart()
    await until(lambda: not town.is_red and town.count > 5, "the return", CATCH_UP_SECONDS)
    await town.everybody_has_everything()


@pytest.mark.parametrize("seconds", [1, *LONG])
async def test_after_redis_hung_everybody_gets_everything(town: Town, seconds: int):
    await until(lambda: town.count >= 3)
    stopped_at = running_seconds()
    os.kill(town.server.child.pid, signal.SIGSTOP)
    try:
        await until(lambda: town.is_red, "readiness to go red", RED_SECONDS)
        assert running_seconds() - stopped_at < RED_SECONDS
        await asyncio.sleep(seconds)
    finally:
        os.kill(town.server.child.pid, signal.SIGCONT)
    await until(lambda: not town.is_red and town.count > 5, "the return", CATCH_UP_SECONDS)
    await town.everybody_has_everything()


async def test_connections_killed_fifty_times_cost_nothing(town: Town):
    direct = redis.asyncio.Redis.from_url(town.server.url)
    for _ in range(50):
        for kind in ("pubsub", "normal"):
            await direct.client_kill_filter(_type=kind, skipme=True)
        await asyncio.sleep(0.03)
    await until(lambda: town.count >= 5)
    await town.everybody_has_everything()
    await direct.aclose()


async def test_after_an_outage_this_process_is_subscribed_to_what_is_wanted_and_no_more(
    town: Town,
):
    await until(lambda: town.count >= 1)
    town.server.kill()
    await until(lambda: town.is_red)
    # Meanwhile all clients of the first hub leave the room.
    leavers = town.readers[:3]
    for reader in leavers:
        await reader.client.send({"id": 10, "unsubscribe": {"channel": "room:a"}})
    await until(lambda: all(reader.others for reader in leavers), "the answers")
    town.server.restart()
    await until(lambda: all(house.broker.healthy for house in town.houses))
    direct = redis.asyncio.Redis.from_url(town.server.url)
    names = ["ping:channel:room:a", "ping:channel:plain:a", "ping:channel:taps:ann"]
    numbers = dict(await direct.pubsub_numsub(*names))
    await direct.aclose()
    assert list(numbers.values()) == [1, 2, 2]
    # What has no history missed what it missed; it goes on as if nothing had been.
    await town.houses[0].publish("plain:a", 7)
    await until(lambda: all(reader.seen.get("plain:a") == [7] for reader in town.readers))
