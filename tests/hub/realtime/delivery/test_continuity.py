"""Whatever happens to Redis: open sockets catch up in order, or are told that they cannot."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import redis.asyncio

from core import config
from hub.realtime.broker import (
    Broker,
    BrokerUnavailableError,
    History,
    Publication,
    PublishRequest,
    StreamPosition,
)
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.delivery.continuity import Continuity
from hub.realtime.delivery.registry import Registry, Subscriber
from hub.realtime.namespaces import Namespace
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.redis import RestartableRedis
from tests.hub.realtime.house import KEPT, House, Socket, open_house, socket, until


class LossyBroker(MemoryBroker):
    """A broker whose delivery can be cut while publishing goes on, and whose reads can be held."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False
        self.is_away = False
        self.before_reading: Callable[[], Any] | None = None
        self.after_reading: Callable[[], Any] | None = None

    @property
    def healthy(self) -> bool:
        return not self.is_away

    async def start(self, on_publication=None, on_gap=None, **callbacks: Any) -> None:
        self.on_gap = on_gap
        self.deliver_late = on_publication

        def deliver(channel: str, publication: Publication, epoch: str) -> None:
            if not self.is_cut and on_publication:
                on_publication(channel, publication, epoch)

        await super().start(deliver, on_gap, **callbacks)

    async def history(self, channel: str, **options: Any) -> History:
        if self.is_away:
            raise BrokerUnavailableError("away")
        if hook := self.before_reading:
            await hook()
        history = await super().history(channel, **options)
        if hook := self.after_reading:
            await hook()
        return history


async def lose_stream(house: House, channel: str) -> None:
    """Let the broker forget a stream, as a Redis that lost its data does."""
    top = (await house.broker.history(channel, limit=0)).top
    await house.broker.end_stream(channel, top.epoch)


@pytest.fixture
async def lossy() -> AsyncGenerator[House]:
    """No periodic check comes to the rescue here."""
    async with open_house(LossyBroker, config.Realtime(position_check_seconds=600)) as house:
        yield house


@pytest.fixture
async def checked() -> AsyncGenerator[House]:
    async with open_house(LossyBroker, config.Realtime(position_check_seconds=0.2)) as house:
        yield house


async def subscribe(client: Socket, channel: str, **request: Any) -> Any:
    await client.send({"id": 9, "subscribe": {"channel": channel, **request}})
    return await client.receive()


async def numbers(client: Socket, count: int) -> list[int]:
    return [(await client.receive())["push"]["pub"]["data"] for _ in range(count)]


async def test_a_lost_publication_is_filled_in_when_the_next_arrives(lossy: House):
    async with socket(lossy, "ann") as client:
        await subscribe(client, "room:a")
        await lossy.publish("room:a", 1)
        lossy.broker.is_cut = True
        await lossy.publish("room:a", 2)
        await lossy.publish("room:a", 3)
        lossy.broker.is_cut = False
        await lossy.publish("room:a", 4)
        await lossy.publish("room:a", 5)
        assert await numbers(client, 5) == [1, 2, 3, 4, 5]


async def test_a_lost_publication_of_an_idle_channel_is_found_by_the_periodic_check(checked: House):
    async with socket(checked, "ann") as client:
        await subscribe(client, "room:a")
        checked.broker.is_cut = True
        await checked.publish("room:a", 1)
        await checked.publish("taps:ann", 2)
        assert sorted(await numbers(client, 2)) == [1, 2]


async def test_what_is_no_longer_kept_ends_subscriptions_and_the_client_is_told(checked: House):
    async with socket(checked, "ann") as client:
        epoch = (await subscribe(client, "short:a"))["subscribe"]["epoch"]
        checked.broker.is_cut = True
        for number in range(1, 6):
            await checked.publish("short:a", number)
        checked.broker.is_cut = False
        assert (await client.receive())["push"]["unsubscribe"]["code"] == 2500
        reply = await subscribe(client, "short:a", recover=True, offset=0, epoch=epoch)
        assert "recovered" not in reply["subscribe"]
        assert reply["subscribe"]["offset"] == 5
        await checked.publish("short:a", 6)
        assert await numbers(client, 1) == [6]


async def test_a_stream_that_was_lost_closes_server_subscriptions_3010(checked: House):
    async with socket(checked, "ann") as client:
        await checked.publish("taps:ann", 1)
        assert await numbers(client, 1) == [1]
        await lose_stream(checked, "taps:ann")
        assert await client.closed() == (3010, "insufficient state")


async def test_a_stream_that_went_back_in_time_gets_a_new_epoch(checked: House):
    async with socket(checked, "ann") as client:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]
        for number in range(1, 4):
            await checked.publish("room:a", number)
        assert await numbers(client, 3) == [1, 2, 3]
        # As after a restore of an older snapshot: the same epoch, fewer publications.
        stream = checked.broker._streams["room:a"]
        stream.top = 1
        while len(stream.kept) > 1:
            stream.kept.pop()
        assert (await client.receive())["push"]["unsubscribe"]["code"] == 2500
        reply = await subscribe(client, "room:a", recover=True, offset=3, epoch=epoch)
        assert "recovered" not in reply["subscribe"]
        assert reply["subscribe"]["epoch"] != epoch


async def test_while_the_broker_is_away_nothing_is_delivered_out_of_order(lossy: House):
    async with socket(lossy, "ann") as client:
        await subscribe(client, "room:a")
        await lossy.publish("room:a", 0)
        assert await numbers(client, 1) == [0]
        lossy.broker.is_cut = lossy.broker.is_away = True
        await lossy.publish("room:a", 1)
        lossy.broker.is_cut = False
        for number in (2, 3):
            await lossy.publish("room:a", number)
        await asyncio.sleep(0.1)
        lossy.broker.is_away = False
        assert await numbers(client, 3) == [1, 2, 3]


async def test_a_broker_that_is_there_but_refuses_is_not_asked_without_a_pause():
    class Refusing(MemoryBroker):
        reads = 0

        async def history(self, channel: str, **options: Any) -> History:
            del channel, options
            self.reads += 1
            raise BrokerUnavailableError("out of memory")

    broker, registry, nobody = Refusing(), Registry(), cast("Subscriber", object())
    kept = Namespace(history_size=5, history_ttl_seconds=60)
    channel = registry.enter("room:a", kept, nobody)
    channel.position = StreamPosition(1, "epoch")
    continuity = Continuity(registry, broker, 600)
    continuity.start()
    continuity.doubt_everything()
    for _ in range(500):
        await asyncio.sleep(0)
    await continuity.close()
    registry.leave("room:a", nobody)
    assert 1 <= broker.reads <= 2


async def test_commands_fail_temporarily_while_the_broker_is_away(lossy: House):
    async with socket(lossy, "ann") as client:
        lossy.broker.is_away = True
        reply = await subscribe(client, "room:a")
        assert reply["error"] == {
            "code": 100,
            "message": "internal server error",
            "temporary": True,
        }
        lossy.broker.is_away = False
        assert "subscribe" in await subscribe(client, "room:a")
    lossy.broker.is_away = True
    async with socket(lossy) as client:
        await client.send({"id": 1, "connect": {"token": "ann"}})
        assert (await client.closed())[0] == 3004


async def test_publications_during_a_subscribe_are_neither_lost_nor_doubled(lossy: House):
    """The race between history and live: publish at the worst moment, while history was read."""
    async with socket(lossy, "ann") as client, socket(lossy, "bob") as other:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]
        await lossy.publish("room:a", 1)
        assert await numbers(client, 1) == [1]

        async def publish_more() -> None:
            lossy.broker.after_reading = None
            for number in (2, 3):
                await lossy.publish("room:a", number)

        lossy.broker.after_reading = publish_more
        reply = await subscribe(other, "room:a", recover=True, offset=0, epoch=epoch)
        assert [item["data"] for item in reply["subscribe"]["publications"]] == [1]
        await lossy.publish("room:a", 4)
        assert await numbers(other, 3) == [2, 3, 4]
        assert await numbers(client, 3) == [2, 3, 4]


async def test_one_whose_history_is_ahead_of_delivery_gets_nothing_twice(lossy: House):
    async with socket(lossy, "ann") as client, socket(lossy, "bob") as other:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]
        lossy.broker.is_cut = True
        await lossy.publish("room:a", 1)
        reply = await subscribe(other, "room:a", recover=True, offset=0, epoch=epoch)
        assert [item["data"] for item in reply["subscribe"]["publications"]] == [1]
        lossy.broker.is_cut = False
        # The publication arrives late, as it does when pub/sub lags behind.
        lossy.broker.deliver_late("room:a", Publication(b'{"data":1}', 1), epoch)
        await lossy.publish("room:a", 2)
        assert await numbers(other, 1) == [2]
        assert await numbers(client, 2) == [1, 2]


async def test_an_epoch_that_changes_during_a_subscribe_is_the_one_that_is_told(lossy: House):
    async with socket(lossy, "ann") as client:

        async def lose_the_stream() -> None:
            lossy.broker.after_reading = None
            await lose_stream(lossy, "room:a")
            await lossy.publish("room:a", "new")

        lossy.broker.after_reading = lose_the_stream
        reply = await subscribe(client, "room:a")
        truth = await lossy.broker.history("room:a", limit=0)
        assert (
            StreamPosition(reply["subscribe"]["offset"], reply["subscribe"]["epoch"]) == truth.top
        )


async def test_two_who_join_at_once_never_miss_what_only_one_of_them_read(lossy: House):
    async with socket(lossy, "ann") as first, socket(lossy, "bob") as second:
        # The first reads the top (0) and is held; meanwhile a publication is stored but delivered
        # late, and the second reads it (top 1), so that this process stands at 1.
        lossy.broker.is_cut = True
        held = asyncio.Event()

        async def hold() -> None:
            lossy.broker.after_reading = None
            await held.wait()

        lossy.broker.after_reading = hold
        joining = asyncio.create_task(subscribe(first, "room:a"))
        await until(lambda: lossy.broker.after_reading is None)
        await lossy.publish("room:a", 1)
        assert (await subscribe(second, "room:a"))["subscribe"]["offset"] == 1
        held.set()
        reply = (await joining)["subscribe"]
        lossy.broker.is_cut = False
        lossy.broker.deliver_late("room:a", Publication(b'{"data":1}', 1), reply["epoch"])
        await lossy.publish("room:a", 2)
        expected = [2] if reply.get("offset") == 1 else [1, 2]
        assert await numbers(first, len(expected)) == expected
        assert await numbers(second, 1) == [2]


async def test_what_a_joining_client_was_kept_of_a_lost_stream_is_thrown_away(lossy: House):
    async with socket(lossy, "ann") as client, socket(lossy, "bob") as other:
        await subscribe(client, "room:a")
        await lossy.publish("room:a", "old 1")

        async def lose_the_stream() -> None:
            lossy.broker.before_reading = None
            await lossy.publish("room:a", "old 2")
            await lose_stream(lossy, "room:a")
            await lossy.publish("room:a", "new 1")
            channel = lossy.hub._registry.channels["room:a"]
            await until(lambda: channel.resync is None)

        lossy.broker.before_reading = lose_the_stream
        reply = (await subscribe(other, "room:a"))["subscribe"]
        # Offset 2 would follow offset 1, but it is the second of a stream that is gone.
        truth = (await lossy.broker.history("room:a", limit=0)).top
        assert (reply["offset"], reply["epoch"]) == (1, truth.epoch)
        await lossy.publish("room:a", "new 2")
        assert await numbers(other, 1) == ["new 2"]


@asynccontextmanager
async def beside(
    server: RestartableRedis, prefix: str = "ping"
) -> AsyncGenerator[tuple[House, Broker]]:
    """A hub on a real Redis, and the broker of another process that publishes."""
    settings = config.Redis(url=server.url, key_prefix=prefix, call_deadline_seconds=1.0)
    relay = RedisBroker(settings)
    await relay.start()
    async with open_house(lambda: RedisBroker(settings)) as house:
        yield house, relay
    await relay.close()


async def publish_until_it_is_done(relay: Broker, channel: str, number: int) -> None:
    """What the relay does: repeat with the same key until Redis took it."""
    while True:
        try:
            await relay.publish(
                PublishRequest(
                    channel=channel,
                    data=b"%d" % number,
                    history=KEPT,
                    idempotency_key=str(number),
                )
            )
        except BrokerUnavailableError:
            await asyncio.sleep(0.02)
        else:
            return


async def test_open_sockets_catch_up_after_redis_was_killed(
    start_redis: Callable[[], RestartableRedis],
):
    server = start_redis()
    async with beside(server) as (house, relay), socket(house, "ann") as client:
        await subscribe(client, "room:a")
        for number in range(1, 4):
            await publish_until_it_is_done(relay, "room:a", number)
        assert await numbers(client, 3) == [1, 2, 3]
        server.kill()
        publishing = asyncio.create_task(_publish(relay, range(4, 30)))
        await until(lambda: not house.broker.healthy)
        server.restart()
        assert await numbers(client, 26) == list(range(4, 30))
        await publishing


async def test_open_sockets_catch_up_after_redis_hung(start_redis: Callable[[], RestartableRedis]):
    server = start_redis()
    async with beside(server) as (house, relay), socket(house, "ann") as client:
        await subscribe(client, "room:a")
        await publish_until_it_is_done(relay, "room:a", 1)
        os.kill(server.child.pid, signal.SIGSTOP)
        publishing = asyncio.create_task(_publish(relay, range(2, 20)))
        await until(lambda: not house.broker.healthy)
        os.kill(server.child.pid, signal.SIGCONT)
        assert await numbers(client, 19) == list(range(1, 20))
        await publishing


async def test_redis_that_comes_back_empty_recovers_nobody_falsely(
    start_redis: Callable[[], RestartableRedis],
):
    server = start_redis()
    async with (
        beside(server) as (house, relay),
        socket(house, "ann") as client,
        socket(house, "bob") as server_side,
    ):
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]
        await publish_until_it_is_done(relay, "room:a", 1)
        await publish_until_it_is_done(relay, "taps:bob", 1)
        assert await numbers(client, 1) == [1]
        epoch_of_taps = (await relay.history("taps:bob")).top.epoch
        server.kill()
        for path in (server.home / "redis").rglob("*.aof*"):
            if path.is_file():
                path.unlink()
        server.restart()
        assert (await client.closed())[0] == 3010
        assert (await server_side.closed())[0] == 3010
        for number in (2, 3):
            await publish_until_it_is_done(relay, "room:a", number)
            await publish_until_it_is_done(relay, "taps:bob", number)
        async with socket(house) as back:
            known = {"taps:bob": {"recover": True, "offset": 1, "epoch": epoch_of_taps}}
            await back.send({"id": 1, "connect": {"token": "bob", "subs": known}})
            connected = (await back.receive())["connect"]["subs"]["taps:bob"]
            again = await subscribe(back, "room:a", recover=True, offset=1, epoch=epoch)
        for reply, old in ((connected, epoch_of_taps), (again["subscribe"], epoch)):
            assert "recovered" not in reply
            assert "publications" not in reply
            assert reply["was_recovering"]
            assert reply["epoch"] != old
            assert reply["offset"] == 2


async def test_cut_redis_connections_lose_nothing(start_redis: Callable[[], RestartableRedis]):
    server = start_redis()
    async with beside(server) as (house, relay), socket(house, "ann") as client:
        await subscribe(client, "room:a")
        direct = redis.asyncio.Redis.from_url(server.url)
        publishing = asyncio.create_task(_publish(relay, range(1, 200)))
        for _ in range(5):
            await direct.client_kill_filter(_type="pubsub")
            await asyncio.sleep(0.05)
        assert await numbers(client, 199) == list(range(1, 200))
        await publishing
        await direct.aclose()


async def test_one_process_subscribes_each_channel_once(redis_url: str, redis_prefix: str):
    settings = config.Redis(url=redis_url, key_prefix=redis_prefix)
    direct = redis.asyncio.Redis.from_url(redis_url)
    name = f"{redis_prefix}:channel:room:a"
    async with open_house(lambda: RedisBroker(settings)) as house:
        async with socket(house, "ann") as first, socket(house, "bob") as second:
            await subscribe(first, "room:a")
            await subscribe(second, "room:a")
            assert await direct.pubsub_numsub(name) == [(name.encode(), 1)]
        deadline = asyncio.get_running_loop().time() + 5
        while await direct.pubsub_numsub(name) != [(name.encode(), 0)]:
            assert asyncio.get_running_loop().time() < deadline
    await direct.aclose()


async def _publish(relay: Broker, numbers: range) -> None:
    for number in numbers:
        await publish_until_it_is_done(relay, "room:a", number)
        await asyncio.sleep(0.002)
