"""What waits to be written to one client: bounded, joined into frames, never with a hole."""

import asyncio

import pytest

from core import config
from hub.realtime import codes
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.connection import Connection
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON
from tests.hub.realtime.house import NAMESPACES, authorize, verify_token


@pytest.fixture
async def connection() -> Connection:
    settings = config.Realtime(buffer_max_bytes=100)
    hub = Hub(settings, MemoryBroker(), NAMESPACES, verify_token, authorize)
    return hub.open(JSON, lambda: None)


async def test_what_waits_shares_frames_of_sixteen_messages(connection: Connection):
    for number in range(20):
        connection.write(b"%d" % number)
    assert connection.take() == b"\n".join(b"%d" % number for number in range(16))
    assert connection.take() == b"16\n17\n18\n19"
    assert connection.take() is None


async def test_a_full_buffer_is_given_up_as_a_whole_and_takes_nothing_more(
    connection: Connection,
):
    connection.write(b"x" * 90)
    connection.write(b"y" * 20)
    # The same tick may bring more publications: after the hole none may follow.
    connection.write(b"z")
    assert connection.take() is None
    await asyncio.sleep(0)
    assert connection.closing == codes.CLOSE_SLOW
    connection.write(b"z")
    assert connection.take() is None


async def test_one_answer_above_the_bound_is_sent_when_nothing_else_waits(
    connection: Connection,
):
    connection.write(b"x" * 500)
    assert connection.take() == b"x" * 500
    assert connection.closing is None


async def test_written_bytes_make_room_again(connection: Connection):
    for _ in range(10):
        connection.write(b"x" * 90)
        assert connection.take() == b"x" * 90
    await asyncio.sleep(0)
    assert connection.closing is None
