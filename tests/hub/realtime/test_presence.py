"""One suite for every presence: who is there, how many, and that nobody stays as a ghost."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import redis.asyncio
from msgspec import Raw

from core import config
from hub.realtime import presence as port
from hub.realtime.broker import BrokerUnavailableError
from hub.realtime.presence import MemoryPresence, Presence, PresenceStats
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.presence import RedisPresence
from tests.fixtures.redis import RestartableRedis


class House:
    """A presence, and a way to let time pass for it."""

    def __init__(self, presence: Presence, wait: Callable[[float], Awaitable[None]]) -> None:
        self.presence = presence
        self.wait = wait


@pytest.fixture(params=["memory", "redis"])
async def house(request: pytest.FixtureRequest) -> AsyncGenerator[House]:
    if request.param == "memory":
        now = 0.0

        async def pass_time(seconds: float) -> None:
            nonlocal now
            now += seconds

        yield House(MemoryPresence(lambda: now), pass_time)
        return
    url, prefix = (request.getfixturevalue(name) for name in ("redis_url", "redis_prefix"))
    broker = RedisBroker(config.Redis(url=url, key_prefix=prefix))
    await broker.start()
    direct = redis.asyncio.Redis.from_url(url)

    async def age(seconds: float) -> None:
        """Make all that is written older instead of waiting: expiries move into the past."""
        async for key in direct.scan_iter(f"{prefix}:presence_expiry:*"):
            for client, expires_ms in await direct.zrange(key, 0, -1, withscores=True):
                await direct.zadd(key, {client: expires_ms - seconds * 1000})

    yield House(RedisPresence(broker.commands, prefix), age)
    await direct.aclose()
    await broker.close()


ANN_PHONE = ClientInfo("ann", "c1", conn_info=Raw(b'{"device":"phone"}'))
ANN_LAPTOP = ClientInfo("ann", "c2", chan_info=Raw(b"\x00\xff:"))
BOB = ClientInfo("böb:7", "c3")
NOBODY = ClientInfo("", "c4")


async def test_an_empty_channel_has_nobody(house: House):
    assert await house.presence.get("room:a") == {}
    assert await house.presence.stats("room:a") == PresenceStats(0, 0)


async def test_clients_are_found_by_their_ids_with_all_that_is_known(house: House):
    for info in (ANN_PHONE, ANN_LAPTOP, BOB, NOBODY):
        await house.presence.add("room:a", info)
    everybody = {"c1": ANN_PHONE, "c2": ANN_LAPTOP, "c3": BOB, "c4": NOBODY}
    assert await house.presence.get("room:a") == everybody
    assert await house.presence.get("room:b") == {}


async def test_a_user_counts_once_however_many_clients_it_has(house: House):
    for info in (ANN_PHONE, ANN_LAPTOP, BOB):
        await house.presence.add("room:a", info)
        await house.presence.add("room:a", info)
    assert await house.presence.stats("room:a") == PresenceStats(3, 2)
    await house.presence.remove("room:a", "c1", "ann")
    assert await house.presence.stats("room:a") == PresenceStats(2, 2)
    await house.presence.remove("room:a", "c2", "ann")
    await house.presence.remove("room:a", "c2", "ann")
    assert await house.presence.stats("room:a") == PresenceStats(1, 1)
    await house.presence.remove("room:a", "c3", "böb:7")
    assert await house.presence.stats("room:a") == PresenceStats(0, 0)


async def test_what_is_known_of_a_client_can_change(house: House):
    await house.presence.add("room:a", ANN_PHONE)
    changed = ClientInfo("ann", "c1", conn_info=Raw(b"2"))
    await house.presence.add("room:a", changed)
    assert await house.presence.get("room:a") == {"c1": changed}
    assert await house.presence.stats("room:a") == PresenceStats(1, 1)


async def test_whoever_is_not_renewed_vanishes_from_list_and_counts(house: House):
    await house.presence.add("room:a", ANN_PHONE)
    await house.presence.add("room:a", BOB)
    await house.wait(port.TTL_SECONDS - 10)
    await house.presence.add("room:a", ANN_LAPTOP)
    await house.presence.renew([("room:a", BOB), ("room:b", BOB)])
    await house.wait(20)
    assert await house.presence.stats("room:a") == PresenceStats(2, 2)
    assert set(await house.presence.get("room:a")) == {"c2", "c3"}
    await house.wait(port.TTL_SECONDS)
    assert await house.presence.get("room:a") == {}
    assert await house.presence.stats("room:b") == PresenceStats(0, 0)


async def test_a_renewal_brings_back_who_had_vanished(house: House):
    await house.presence.add("room:a", ANN_PHONE)
    await house.wait(port.TTL_SECONDS + 1)
    assert await house.presence.get("room:a") == {}
    await house.presence.renew([("room:a", ANN_PHONE), ("room:a", ANN_LAPTOP)])
    assert await house.presence.stats("room:a") == PresenceStats(2, 1)


async def test_many_are_renewed_at_once(house: House):
    entries = [
        (f"room:{room}", ClientInfo(f"u{number % 50}", f"c{number}"))
        for room in range(20)
        for number in range(100)
    ]
    await house.presence.renew(entries)
    assert await house.presence.stats("room:0") == PresenceStats(100, 50)
    assert await house.presence.stats("room:19") == PresenceStats(100, 50)


async def test_nothing_of_an_abandoned_channel_stays_in_redis(redis_url: str, redis_prefix: str):
    broker = RedisBroker(config.Redis(url=redis_url, key_prefix=redis_prefix))
    await broker.start()
    presence = RedisPresence(broker.commands, redis_prefix)
    direct = redis.asyncio.Redis.from_url(redis_url)
    await presence.add("room:a", ANN_PHONE)
    await presence.add("room:b", ANN_PHONE)
    await presence.remove("room:a", "c1", "ann")
    keys = [key async for key in direct.scan_iter(f"{redis_prefix}:*")]
    assert len(keys) == 3
    assert [await direct.ttl(key) for key in keys] == pytest.approx([port.TTL_SECONDS] * 3, abs=5)
    await direct.aclose()
    await broker.close()


async def test_without_redis_nobody_knows(start_redis: Callable[[], RestartableRedis]):
    server = start_redis()
    broker = RedisBroker(config.Redis(url=server.url, call_deadline_seconds=0.5))
    await broker.start()
    presence = RedisPresence(broker.commands, "ping")
    server.kill()
    with pytest.raises(BrokerUnavailableError):
        await presence.get("room:a")
    await broker.close()
