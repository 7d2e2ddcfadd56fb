"""Exchanges captured from the original implementation, against this hub, in both formats.

The table is in JSON. In Protobuf the same commands go out and the same replies are expected, both
translated by the messages inside the official Python SDK.
"""

import json
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import pytest
import websockets
from centrifuge.protocol import client_pb2 as official
from google.protobuf.json_format import ParseDict

from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from tests.hub.realtime.house import KEPT, House, open_house
from tests.hub.realtime.protocol.test_protobuf_framing import framed, in_protobuf_json, unframed

PAD = "x" * 60


class Step(NamedTuple):
    """What is sent, or published by the server, and what comes for it."""

    replies: list[str]
    commands: tuple[str, ...] = ()
    published: tuple[str, str] = ("", "")


def sends(*commands: str, gives: list[str]) -> Step:
    return Step(gives, commands=commands)


def publishes(channel: str, data: str, gives: list[str]) -> Step:
    return Step(gives, published=(channel, data))


CONNECT = sends(
    '{"id":1,"connect":{"token":"ann","name":"js"}}',
    gives=[
        (
            '{"id":1,"connect":{"client":"CLIENT","ping":25,"pong":true,'
            '"subs":{"taps:ann":{"recoverable":true,"epoch":"PERSONAL","positioned":true}}}}'
        )
    ],
)
FIRST = '{"data":{"n":1},"offset":1}'
SECOND = '{"data":{"n":2},"info":{"user":"ann","client":"CLIENT"},"offset":2}'
STREAM = [
    CONNECT,
    sends(
        '{"id":2,"subscribe":{"channel":"room:a"}}',
        '{"id":3,"subscribe":{"channel":"nope:x"}}',
        gives=[
            '{"id":2,"subscribe":{"recoverable":true,"epoch":"EPOCH","positioned":true}}',
            '{"id":3,"error":{"code":102,"message":"unknown channel"}}',
        ],
    ),
    publishes("room:a", '{"n":1}', [f'{{"push":{{"channel":"room:a","pub":{FIRST}}}}}']),
    sends(
        '{"id":4,"publish":{"channel":"room:a","data":{"n":2}}}',
        gives=[
            f'{{"push":{{"channel":"room:a","pub":{SECOND}}}}}',
            '{"id":4,"publish":{}}',
        ],
    ),
    sends(
        '{"id":5,"history":{"channel":"room:a","limit":1,"since":{"offset":1,"epoch":""}}}',
        gives=[f'{{"id":5,"history":{{"publications":[{SECOND}],"epoch":"EPOCH","offset":2}}}}'],
    ),
    sends(
        '{"id":6,"subscribe":{"channel":"room:a"}}',
        '{"id":7,"unsubscribe":{"channel":"room:a"}}',
        gives=[
            '{"id":6,"error":{"code":105,"message":"already subscribed"}}',
            '{"id":7,"unsubscribe":{}}',
        ],
    ),
    sends(
        '{"id":8,"subscribe":{"channel":"room:a","recover":true,"offset":1,"epoch":"zzzz"}}',
        '{"id":9,"unsubscribe":{"channel":"room:a"}}',
        gives=[
            (
                '{"id":8,"subscribe":{"recoverable":true,"epoch":"EPOCH","offset":2,'
                '"positioned":true,"was_recovering":true}}'
            ),
            '{"id":9,"unsubscribe":{}}',
        ],
    ),
    sends(
        '{"id":10,"subscribe":{"channel":"room:a","recover":true,"offset":0,"epoch":""}}',
        gives=[
            (
                '{"id":10,"subscribe":{"recoverable":true,"epoch":"EPOCH","publications":'
                f'[{FIRST},{SECOND}],"recovered":true,"positioned":true,"was_recovering":true}}}}'
            )
        ],
    ),
    sends(
        '{"id":11,"unsubscribe":{"channel":"room:a"}}',
        '{"id":12,"subscribe":{"channel":"room:a","recover":true,"offset":9,"epoch":"EPOCH",'
        '"flag":2}}',
        '{"id":13,"presence":{"channel":"plain:a"}}',
        gives=[
            '{"id":11,"unsubscribe":{}}',
            '{"id":12,"error":{"code":112,"message":"unrecoverable position"}}',
            '{"id":13,"error":{"code":108,"message":"not available"}}',
        ],
    ),
]
DELTA = [
    CONNECT,
    sends(
        '{"id":2,"subscribe":{"channel":"stocks:d","delta":"fossil"}}',
        gives=[
            (
                '{"id":2,"subscribe":{"recoverable":true,"epoch":"EPOCH","positioned":true,'
                '"delta":true}}'
            )
        ],
    ),
    publishes(
        "stocks:d",
        f'{{"c": 1, "pad": "{PAD}"}}',
        [
            (
                '{"push":{"channel":"stocks:d","pub":{'
                f'"data":"{{\\"c\\": 1, \\"pad\\": \\"{PAD}\\"}}","offset":1}}}}}}'
            )
        ],
    ),
    publishes(
        "stocks:d",
        f'{{"c": 2, "pad": "{PAD}"}}',
        [
            (
                '{"push":{"channel":"stocks:d","pub":{"data":"1F\\n7:{\\"c\\": 218@7,1fjCkN;",'
                '"offset":2,"delta":true}}}'
            )
        ],
    ),
]


class Wire:
    """A connection that speaks one of the formats."""

    def __init__(self, house: House, framing: str, connection: websockets.ClientConnection) -> None:
        self.house = house
        self.is_protobuf = framing == "protobuf"
        self.connection = connection
        self._read: list[Any] = []

    async def send(self, *commands: str) -> None:
        if self.is_protobuf:
            messages = [
                ParseDict(in_protobuf_json(json.loads(item)), official.Command())
                for item in commands
            ]
            await self.connection.send(framed(*(item.SerializeToString() for item in messages)))
        else:
            await self.connection.send("\n".join(commands))

    async def receive(self) -> Any:
        while not self._read:
            frame = await self.connection.recv()
            assert isinstance(frame, bytes) == self.is_protobuf
            if isinstance(frame, bytes):
                self._read = unframed(frame)
            else:
                self._read = [json.loads(line) for line in frame.split("\n")]
        return self._read.pop(0)

    def expected(self, reply: str, *, text_data: bool) -> Any:
        value = json.loads(reply)
        if not self.is_protobuf:
            return value
        if text_data and "push" in value:
            # With deltas JSON carries data as a string; Protobuf carries its bytes.
            pub = value["push"]["pub"]
            data = pub.pop("data").encode()
            message = ParseDict(value, official.Reply())
            message.push.pub.data = data
            return message
        return ParseDict(in_protobuf_json(value), official.Reply())


@pytest.fixture(params=["json", "protobuf"])
async def wire(request: pytest.FixtureRequest) -> AsyncGenerator[Wire]:
    async with open_house(MemoryBroker) as house:
        url = f"{house.url}?cf_protocol={request.param}"
        async with websockets.connect(url) as connection:
            yield Wire(house, request.param, connection)


async def play(wire: Wire, channel: str, steps: list[Step], *, text_data: bool = False) -> None:
    """Do the steps, filling in what differs from run to run."""
    top = (await wire.house.broker.history(channel, limit=0)).top
    own = (await wire.house.broker.history("taps:ann", limit=0)).top
    (connection,) = wire.house.hub.connections

    def fill(text: str) -> str:
        filled = text.replace("EPOCH", top.epoch).replace("PERSONAL", own.epoch)
        return filled.replace("CLIENT", connection.session.client_id)

    for step in steps:
        if step.commands:
            await wire.send(*(fill(item) for item in step.commands))
        else:
            name, data = step.published
            await wire.house.broker.publish(
                PublishRequest(channel=name, data=data.encode(), history=KEPT)
            )
        for reply in step.replies:
            assert await wire.receive() == wire.expected(fill(reply), text_data=text_data)


async def test_publishing_and_recovering_go_as_captured(wire: Wire):
    await play(wire, "room:a", STREAM)


async def test_deltas_go_as_captured(wire: Wire):
    await play(wire, "stocks:d", DELTA, text_data=True)


@pytest.mark.parametrize(
    ("commands", "code", "reason"),
    [
        (('{"id":1,"connect":{"token":"bad"}}',), 3500, "invalid token"),
        (("{}",), 3501, "bad request"),
        (('{"id":1,"subscribe":{"channel":"room:a"}}',), 3501, "bad request"),
        (
            ('{"id":1,"connect":{"token":"ann"}}', '{"id":2,"connect":{"token":"ann"}}'),
            3501,
            "bad request",
        ),
    ],
)
async def test_a_captured_close_has_its_code(
    wire: Wire, commands: tuple[str, ...], code: int, reason: str
):
    await wire.send(*commands)
    await wire.connection.wait_closed()
    assert (wire.connection.close_code, wire.connection.close_reason) == (code, reason)
