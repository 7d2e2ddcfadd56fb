"""Deltas, filters and both formats as the official SDKs read them, over a lost connection too."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from centrifuge import Client, DeltaType, Filter

from core.errors import ConfigError
from hub.embedded import node
from hub.realtime import codes
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from tests.fixtures.ports import missing
from tests.hub.realtime.house import KEPT, House, open_house, until
from tests.hub.realtime.test_sdk_javascript import SDK, Phone
from tests.hub.realtime.test_sdk_python import Phone as PythonPhone
from tests.hub.realtime.test_sdk_python import Room

READER = Path(__file__).parent / "reader.mjs"
CHANNEL = "stocks:all"
FORMATS = ["json", "protobuf"]

Read = Callable[..., Awaitable[Phone]]


@pytest.fixture
async def read() -> AsyncGenerator[Read]:
    try:
        program = node.find()
    except ConfigError as error:
        missing(str(error))
    if not SDK.exists():  # once, before anything runs
        missing("node_modules/centrifuge: run `make up` or npm ci once")
    phones: list[Phone] = []

    async def read(house: House, framing: str, **options: Any) -> Phone:
        process = await asyncio.create_subprocess_exec(
            *(str(program), str(READER), f"{house.url}?format={framing}", framing),
            *(CHANNEL, json.dumps(options)),
            stdin=PIPE,
            stdout=PIPE,
        )
        phones.append(Phone(process))
        return phones[-1]

    yield read
    for phone in phones:
        await phone.hang_up()


def document(number: int) -> dict[str, Any]:
    return {"tick": number, "name": "grüße 🙂", "rest": ["unchanged"] * 30}


async def publish(house: House, *numbers: int) -> None:
    for number in numbers:
        await house.broker.publish(
            PublishRequest(
                channel=CHANNEL,
                data=json.dumps(document(number), ensure_ascii=number % 2 == 0).encode(),
                history=KEPT,
                tags={"even": str(number % 2 == 0), "number": str(number)},
            )
        )


def cut(house: House) -> None:
    """Close every connection in a way that SDKs come back from."""
    for connection in list(house.hub.connections):
        connection.close(codes.CLOSE_FORCE_RECONNECT)


@pytest.mark.parametrize("framing", FORMATS)
async def test_the_js_sdk_applies_every_patch_live_and_recovered(read: Read, framing: str):
    async with open_house(MemoryBroker) as house:
        phone = await read(house, framing, delta="fossil")
        await until(lambda: phone.of("subscribed"))
        await publish(house, *range(5))
        await until(lambda: len(phone.seen(CHANNEL)) == 5)
        cut(house)
        await publish(house, *range(5, 9))
        await until(lambda: phone.of("subscribed", recovered=True))
        await publish(house, *range(9, 12))
        await until(lambda: len(phone.seen(CHANNEL)) >= 12)
        assert phone.seen(CHANNEL) == [document(number) for number in range(12)]
        assert phone.process.stdin
        phone.process.stdin.write(b"\n")
        await until(lambda: phone.of("stats"))
        (stats,) = phone.of("stats")
        # Whole: the first, the first recovered, and the first after the recovery.
        assert (stats["numFullPayloads"], stats["numDeltaPayloads"]) == (3, 9)
        assert stats["compressionRatio"] > 0.5


@pytest.mark.parametrize("framing", FORMATS)
async def test_the_js_sdk_gets_what_its_filter_wants_live_and_recovered(read: Read, framing: str):
    async with open_house(MemoryBroker) as house:
        wants = {
            "op": "and",
            "nodes": [
                {"key": "even", "cmp": "eq", "val": "True"},
                {"op": "not", "nodes": [{"key": "number", "cmp": "gt", "val": "10"}]},
            ],
        }
        phone = await read(house, framing, tagsFilter=wants)
        await until(lambda: phone.of("subscribed"))
        await publish(house, *range(5))
        await until(lambda: len(phone.seen(CHANNEL)) == 3)
        cut(house)
        await publish(house, *range(5, 9))
        await until(lambda: phone.of("subscribed", recovered=True))
        await publish(house, *range(9, 14), 2)
        await until(lambda: len(phone.seen(CHANNEL)) >= 7)
        ticks = [item["tick"] for item in phone.seen(CHANNEL)]
        assert ticks == [0, 2, 4, 6, 8, 10, 2]
        assert phone.of("publication")[-1]["tags"] == {"even": "True", "number": "2"}


async def test_a_filter_that_makes_no_sense_is_refused(read: Read):
    async with open_house(MemoryBroker) as house:
        phone = await read(house, "protobuf", tagsFilter={"key": "k", "cmp": "like", "val": "a"})
        await until(lambda: phone.of("unsubscribed"))
        assert phone.of("unsubscribed") == [{"event": "unsubscribed", "code": 107}]


@pytest.mark.parametrize("framing", FORMATS)
async def test_the_python_sdk_reads_patches_and_filtered_publications(framing: str):
    async with open_house(MemoryBroker) as house:
        protobuf = framing == "protobuf"
        deltas, filtered = Room(), Room()
        clients: list[Client] = []
        for room, options in (
            (deltas, {"delta": DeltaType.FOSSIL}),
            (filtered, {"tags_filter": Filter.eq("even", "True")}),
        ):
            url = f"{house.url}?format={framing}"
            client = Client(url, token="ann", use_protobuf=protobuf, min_reconnect_delay=0.01)
            clients.append(client)
            await client.connect()
            subscription = client.new_subscription(CHANNEL, events=room, **options)
            await subscription.subscribe()
            await subscription.ready()
        await publish(house, *range(5))
        await until(lambda: len(deltas.seen) == 5)
        cut(house)
        await publish(house, *range(5, 9))
        await until(lambda: deltas.recovered == filtered.recovered == [True])
        await publish(house, *range(9, 12))
        await until(lambda: len(deltas.seen) >= 12 and len(filtered.seen) >= 6)
        for client in clients:
            await client.disconnect()
        seen = [json.loads(item) if protobuf else item for item in deltas.seen]
        assert seen == [document(number) for number in range(12)]
        seen = [json.loads(item) if protobuf else item for item in filtered.seen]
        assert [item["tick"] for item in seen] == [0, 2, 4, 6, 8, 10]


async def test_bytes_that_are_no_json_reach_protobuf_and_close_json():
    async with open_house(MemoryBroker) as house:
        binary, text = Room(), Room()
        lost = PythonPhone()
        speaks_protobuf = Client(f"{house.url}?format=protobuf", token="ann", use_protobuf=True)
        speaks_json = Client(house.url, token="ann", events=lost)
        publisher = speaks_protobuf.new_subscription(CHANNEL, events=binary)
        for client, subscription in (
            (speaks_protobuf, publisher),
            (speaks_json, speaks_json.new_subscription(CHANNEL, events=text)),
        ):
            await client.connect()
            await subscription.subscribe()
            await subscription.ready()
        await publisher.publish(b"\xff\x00 no JSON")
        await until(lambda: binary.seen and lost.disconnected)
        assert (binary.seen, text.seen) == ([b"\xff\x00 no JSON"], [])
        assert lost.disconnected == [3506]
        await speaks_protobuf.disconnect()
