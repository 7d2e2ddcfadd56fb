"""What never becomes a request: heads without end, in bytes and in time."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from core.turns import PER_TURN
from hub.http import wire

BODY_MAX_BYTES = 10_000


async def echo_headers(scope: Any, receive: Any, send: Any) -> None:
    """Answer the names of the request's fields, after its body."""
    while (await receive()).get("more_body"):
        pass
    names = b",".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": names})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            echo_headers,
            http=wire.bounded(BODY_MAX_BYTES, head_seconds=0.3),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def talk(port: int, *parts: bytes, then_end: bool = True) -> bytes:
    """Send the parts and return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(5):
            try:
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                return await reader.read() if then_end else await reader.readuntil(b"\r\n\r\n")
            except ConnectionError:
                return b""
    finally:
        writer.close()


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
CLOSE = b"Connection: close\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_many_who_come_at_once_are_all_answered_also_when_heads_come_in_pieces(port: int):
    many = 20 * PER_TURN

    answers = await asyncio.gather(*(talk(port, GET, b"X-More: 1\r\n", CLOSE) for _ in range(many)))

    assert all(b"\r\nhost,x-more,connection\r\n" in answer for answer in answers)


async def test_who_leaves_before_its_turn_harms_nobody(port: int):
    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + CLOSE)
        writer.transport.abort()

    await asyncio.gather(*(leave() for _ in range(10 * PER_TURN)))

    assert (await talk(port, GET, CLOSE)).startswith(b"HTTP/1.1 200")


async def test_an_ordinary_request_is_answered(port: int):
    assert (await talk(port, GET, CLOSE)).startswith(b"HTTP/1.1 200")
    large = b"X-Large: " + b"x" * (wire.HEAD_MAX_BYTES // 2) + b"\r\n"
    assert (await talk(port, GET, large, CLOSE)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "endless",
    [b"x" * 65_536, b"X-Field: value\r\n" * 4096],
    ids=["one field", "many fields"],
)
async def test_a_head_without_end_is_cut_off(port: int, endless: bytes):
    answer = await talk(port, GET + b"X-First: ", *[endless] * 40)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert (await talk(port, GET, CLOSE)).startswith(b"HTTP/1.1 200")


async def test_a_head_that_does_not_come_is_not_waited_for(port: int):
    for beginning in (b"", b"\r\n", b"GET / HT", GET):
        assert (await talk(port, beginning)).startswith(b"HTTP/1.1 408"), beginning


async def test_a_second_head_on_the_same_connection_is_not_waited_for_either(port: int):
    answer = await talk(port, GET + b"\r\n" + GET)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_slow_body_is_waited_for(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\na")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.6)
    writer.write(b"b")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_fields_after_the_body_do_not_join_those_before_it(port: int):
    answer = await talk(port, CHUNKED, b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"authorization" not in answer


async def test_fields_after_the_body_end_too(port: int):
    answer = await talk(port, CHUNKED, b"0\r\nX-Last: ", *[b"x" * 65_536] * 20)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
