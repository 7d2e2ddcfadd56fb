"""The live tail on a real server: publications as lines, until either side ends."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from core import config
from hub.realtime import codes
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.server_api.tail import Watcher, tail_endpoint
from tests.hub.realtime.house import API_KEY, House, open_house, socket, until

BUFFER_BYTES = 100_000


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    settings = config.Realtime(buffer_max_bytes=BUFFER_BYTES)
    async with open_house(MemoryBroker, settings) as house:
        yield house


class Tail:
    """A reader of one tail."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self._lines = response.aiter_lines()

    async def line(self) -> str | None:
        """Return the next line, None at the end."""
        return await asyncio.wait_for(anext(self._lines, None), 10)

    async def receive(self) -> Any:
        """Return what the next line that is not empty says, None at the end."""
        while (line := await self.line()) is not None:
            if line:
                return json.loads(line)
        return None


@asynccontextmanager
async def tail(house: House, channel: str, key: str = API_KEY) -> AsyncGenerator[Tail]:
    async with httpx.AsyncClient(base_url=house.http_url, timeout=10) as http:
        headers = {"x-api-key": key}
        body = {"channel": channel}
        async with http.stream("POST", "/api/tail", json=body, headers=headers) as response:
            yield Tail(response)


async def test_publications_come_as_lines_in_their_order(house: House):
    await house.publish("room:a", "before")
    async with tail(house, "room:a") as reader:
        assert (reader.status, reader.headers["content-type"]) == (200, "application/x-ndjson")
        assert await reader.line() == ""
        for number in range(20):
            await house.publish("room:a", {"n": number})
        lines = [await reader.receive() for _ in range(20)]
    assert [line["data"]["n"] for line in lines] == list(range(20))
    assert [line["offset"] for line in lines] == list(range(2, 22))


async def test_a_channel_without_history_is_tailed_too(house: House):
    async with tail(house, "plain:a") as reader:
        await until(lambda: house.hub.channel_count)
        await house.publish("plain:a", "x")
        assert await reader.receive() == {"data": "x"}


async def test_a_tail_shares_what_was_encoded_for_sockets_and_disturbs_none(house: House):
    async with socket(house, "ann") as client, tail(house, "room:a") as reader:
        await client.send({"id": 2, "subscribe": {"channel": "room:a"}})
        await client.receive()
        await house.publish("room:a", "x")
        assert (await client.receive())["push"]["pub"]["data"] == "x"
        assert (await reader.receive())["data"] == "x"


async def test_a_watcher_is_no_client(house: House):
    async with tail(house, "seen:a"), socket(house, "ann") as client:
        assert house.hub.channels("seen:*") == {}
        assert (house.hub.channel_count, house.hub.watched_count) == (2, 1)
        await client.send({"id": 2, "subscribe": {"channel": "seen:a"}})
        await client.receive()
        assert house.hub.channels("seen:*") == {"seen:a": 1}
        assert (house.hub.channel_count, house.hub.watched_count) == (2, 0)
        # The client's own channel, which the server subscribes it to, is the other one.
        assert house.hub.subscription_count == 2
        await client.send({"id": 3, "presence_stats": {"channel": "seen:a"}})
        stats = {"num_clients": 1, "num_users": 1}
        # Its own join is pushed in between.
        answers = [await client.receive() for _ in range(2)]
        assert {"id": 3, "presence_stats": stats} in answers


async def test_a_reader_who_leaves_leaves_nothing_behind(house: House):
    async with tail(house, "room:a") as reader:
        await reader.line()
        assert house.hub.channel_count == 1
    await until(lambda: house.hub.channel_count == 0, "the end of the subscription")
    assert house.hub.subscription_count == 0


async def test_without_a_key_nobody_looks_in(house: House):
    for key in ("", "another-key"):
        async with tail(house, "room:a", key) as reader:
            assert (reader.status, await reader.receive()) == (401, {"code": "auth.required"})
    assert house.hub.channel_count == 0


async def test_an_unknown_channel_is_not_found(house: House):
    for channel in ("nowhere:a", ""):
        async with tail(house, channel) as reader:
            assert (reader.status, await reader.receive()) == (404, {"code": "request.not_found"})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"channel":1}', b"\xff", b'{"channel"', b"[" * 999])
async def test_a_body_that_names_no_channel_is_malformed(house: House, body: bytes):
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        answer = await http.post("/api/tail", content=body, headers={"x-api-key": API_KEY})
        assert (answer.status_code, answer.json()) == (400, {"code": "request.malformed"})
        answer = await http.post("/api/tail", content=b" " * 5000, headers={"x-api-key": API_KEY})
        assert answer.status_code == 413


async def test_a_tail_is_asked_for_by_post(house: House):
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        answer = await http.get("/api/tail", headers={"x-api-key": API_KEY})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_hub_that_drains_ends_the_tail_and_says_so(house: House):
    async with tail(house, "room:a") as reader:
        await reader.line()
        await house.hub.close()
        end = {"end": {"code": 3001, "reason": "shutdown"}}
        assert [await reader.receive(), await reader.receive()] == [end, None]
    async with tail(house, "room:a") as reader:
        assert reader.status == 503


async def test_a_publication_that_is_no_json_ends_the_tail(house: House):
    async with tail(house, "room:a") as reader:
        await reader.line()
        await house.broker.publish(PublishRequest(channel="room:a", data=b"\xff", binary=True))
        assert (await reader.receive())["end"]["code"] == 3506


async def test_a_reader_that_does_not_read_is_cut_and_costs_bounded_memory(house: House):
    body = b'{"channel":"room:a"}'
    head = (
        f"POST /api/tail HTTP/1.1\r\nhost: here\r\nx-api-key: {API_KEY}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with sockets.socket() as client:
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", house.port))
        await loop.sock_sendall(client, head.encode() + body)
        await until(lambda: house.hub.channel_count)
        for _ in range(400):
            await house.publish("room:a", "x" * 20_000)
            await asyncio.sleep(0)
        await until(lambda: house.hub.channel_count == 0, "the end of the tail")
        assert house.sockets == 0


async def test_a_quiet_channel_is_told_from_a_broken_stream(house: House):
    app = tail_endpoint(house.hub, None, quiet_seconds=0.01)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))  # pyright: ignore[reportArgumentType]
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with (
        httpx.AsyncClient() as http,
        http.stream("POST", url, json={"channel": "room:a"}) as response,
    ):
        reader = Tail(response)
        assert [await reader.line() for _ in range(5)] == [""] * 5
        await house.publish("room:a", "x")
        assert (await reader.receive())["data"] == "x"
    await server.shutdown()


async def test_what_was_missed_ends_a_watcher_once_after_what_it_had():
    watcher = Watcher(BUFFER_BYTES)
    watcher.write(b'{"push":{"channel":"a","pub":{"data":1,"offset":5}}}')
    watcher.write(b'{"push":{"channel":"a","join":{"info":{"user":"u","client":"c"}}}}')
    watcher.lose_state("a")
    watcher.close(codes.CLOSE_SLOW)
    watcher.write(b'{"push":{"channel":"a","pub":{"data":2}}}')
    end = b'{"end":{"code":3010,"reason":"insufficient state"}}\n'
    assert await watcher.take(1) == b'{"data":1,"offset":5}\n' + end
    assert await watcher.take(1) == b""
