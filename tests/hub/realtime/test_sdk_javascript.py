"""The official JS SDK in Node as the judge; Swift, Kotlin and Dart behave alike by design."""

import asyncio
import json
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core import config
from core.errors import ConfigError
from hub.embedded import node
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.ports import missing
from tests.hub.realtime.house import House, open_house, until
from tests.hub.realtime.test_sdk_python import publish_until

PHONE = Path(__file__).parent / "phone.mjs"
SDK = Path("node_modules/centrifuge/package.json")


class Phone:
    """A running phone and what it has printed so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            item
            for item in self.events
            if item["event"] == event and fields.items() <= item.items()
        ]

    def seen(self, channel: str) -> list[Any]:
        return [item["data"] for item in self.of("publication", channel=channel)]

    async def hang_up(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), 10)
        await self._reader

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.events.append(json.loads(line))


Dial = Callable[..., Awaitable[Phone]]


@pytest.fixture
async def dial() -> AsyncGenerator[Dial]:
    try:
        program = node.find()
    except ConfigError as error:
        missing(str(error))
    if not SDK.exists():  # noqa: ASYNC240  # once, before anything runs
        missing("node_modules/centrifuge: run `make up` or npm ci once")
    phones: list[Phone] = []

    async def dial(house: House, room: str = "", tokens: tuple[str, ...] = ("ann",)) -> Phone:
        process = await asyncio.create_subprocess_exec(
            str(program), str(PHONE), house.url, room, *tokens, stdin=PIPE, stdout=PIPE
        )
        phones.append(Phone(process))
        return phones[-1]

    yield dial
    for phone in phones:
        await phone.hang_up()


async def test_the_js_sdk_survives_killed_hubs_and_misses_nothing(
    dial: Dial, redis_url: str, redis_prefix: str
):
    settings = config.Redis(url=redis_url, key_prefix=redis_prefix)
    async with open_house(lambda: RedisBroker(settings)) as house:
        phone = await dial(house, "room:a")
        await until(lambda: phone.of("subscribed") and phone.of("connected"))
        relay = RedisBroker(settings)
        await relay.start()
        done = asyncio.Event()
        publishing = asyncio.create_task(publish_until(relay, done))
        channels = ("room:a", "taps:ann")
        for kills in range(1, 6):
            await until(lambda kills=kills: len(phone.seen("room:a")) > kills * 5)
            await house.stop()
            await asyncio.sleep(0.02)
            await house.start()
            for channel in channels:
                await until(
                    lambda kills=kills, channel=channel: (
                        len(phone.of("recovering", channel=channel)) == kills
                    )
                )
        done.set()
        count = await publishing
        for channel in channels:
            await until(lambda channel=channel: len(phone.seen(channel)) >= count)
            assert phone.seen(channel) == list(range(count))
            assert all(item["recovered"] for item in phone.of("recovering", channel=channel))
        await relay.close()


async def test_the_js_sdk_is_told_when_a_stream_is_gone(dial: Dial):
    async with open_house(MemoryBroker) as house:
        phone = await dial(house, "room:a")
        await until(lambda: phone.of("subscribed"))
        await house.publish("room:a", 1)
        await house.publish("taps:ann", 1)
        await until(lambda: phone.seen("room:a") == phone.seen("taps:ann") == [1])
        await house.stop()
        await house.start()
        await until(lambda: len(phone.of("recovering")) == 2)
        assert not any(item["recovered"] for item in phone.of("recovering"))
        await house.publish("room:a", 2)
        await until(lambda: phone.seen("room:a") == [1, 2])


async def test_the_js_sdk_refreshes_tokens_and_replaces_expired_ones(dial: Dial):
    async with open_house(MemoryBroker, config.Realtime(expired_close_delay_seconds=0.5)) as house:
        soon = f"ann@{int(time.time()) + 2}"
        phone = await dial(house, tokens=("ann@1000", soon, "ann"))
        await until(lambda: len(phone.of("token")) == 2, "an expired token and a refresh")
        await house.publish("taps:ann", 1)
        await until(lambda: phone.seen("taps:ann") == [1])
        assert len(phone.of("connected")) == 1


async def test_the_js_sdk_stays_away_or_comes_back_as_the_code_says(dial: Dial):
    async with open_house(MemoryBroker) as house:
        forged = await dial(house, tokens=("bad",))
        refused = await dial(house, "room:secret", tokens=("bob",))
        drained = await dial(house)
        await until(lambda: forged.of("disconnected", code=3500))
        await until(lambda: refused.of("unsubscribed", code=103))
        await until(lambda: drained.of("connected"))
        await house.hub.close()
        await until(lambda: drained.of("connecting", code=3001))
        await house.stop()
        await house.start()
        await until(lambda: len(drained.of("connected")) == 2)
        assert not forged.of("connected")


async def test_the_js_sdk_answers_pings_and_stays(dial: Dial):
    settings = config.Realtime(ping_interval_seconds=1.0, pong_timeout_seconds=0.5)
    async with open_house(MemoryBroker, settings) as house:
        phone = await dial(house)
        await until(lambda: phone.of("connected"))
        (connection,) = house.hub.connections
        # Two pings go by; without its pongs the hub would close the connection (3012).
        ends_at = time.monotonic() + 2.5
        await until(lambda: time.monotonic() > ends_at or not house.hub.connections)
        assert house.hub.connections == {connection}
        assert len(phone.of("connecting")) == 1
