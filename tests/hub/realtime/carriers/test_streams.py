"""HTTP streaming and server-sent events on a real server, with emulation for the way back."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
from prometheus_client import REGISTRY

from core import config
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.protocol import client_pb2
from tests.hub.realtime.house import House, open_house, until

ORIGIN = "https://app.example"
Transport = Literal["http_stream", "sse"]
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
}


@pytest.fixture(params=["http_stream", "sse"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    settings = config.Realtime(max_message_bytes=10_000, buffer_max_bytes=100_000)
    async with open_house(MemoryBroker, settings, (ORIGIN,)) as house:
        yield house


class Stream:
    """A client of one stream: reads messages, sends commands by emulation."""

    def __init__(self, http: httpx.AsyncClient, response: httpx.Response) -> None:
        self.http = http
        self.response = response
        self._lines = response.aiter_lines()
        self.session = self.node = ""

    async def receive(self) -> Any:
        """Return the next message, answering pings; None when the stream has ended."""
        while (line := await asyncio.wait_for(anext(self._lines, None), 10)) is not None:
            if text := line.removeprefix("data: "):
                message = json.loads(text)
                if message:
                    return message
                await self.send({})
        return None

    async def send(self, *commands: dict[str, Any], **emulation: Any) -> int:
        text = "\n".join(json.dumps(item) for item in commands)
        body = {"session": self.session, "node": self.node, "data": text, **emulation}
        return (await self.http.post("/emulation", json=body)).status_code


@asynccontextmanager
async def request(
    house: House, transport: Transport, command: dict[str, Any], **headers: str
) -> AsyncIterator[Stream]:
    text = json.dumps(command)
    async with httpx.AsyncClient(base_url=house.http_url, timeout=10) as http:
        call = (
            http.stream("POST", "/connection/http_stream", content=text, headers=headers)
            if transport == "http_stream"
            else http.stream("GET", "/connection/sse", params={"cf_connect": text}, headers=headers)
        )
        async with call as response:
            yield Stream(http, response)


@asynccontextmanager
async def stream(house: House, transport: Transport, token: str = "ann") -> AsyncIterator[Stream]:
    """Open a stream that is connected."""
    async with request(house, transport, {"id": 1, "connect": {"token": token}}) as client:
        assert client.response.status_code == 200
        connect = (await client.receive())["connect"]
        client.session, client.node = connect["session"], connect["node"]
        yield client


async def test_commands_come_by_emulation_and_answers_by_the_stream(
    house: House, transport: Transport
):
    async with stream(house, transport) as client:
        assert client.node == house.hub.node_id
        assert len(client.session) >= 32
        assert await client.send({"id": 2, "subscribe": {"channel": "room:a"}}) == 204
        assert (await client.receive())["subscribe"]["positioned"] is True
        await house.publish("room:a", {"n": 1})
        assert await client.receive() == {
            "push": {"channel": "room:a", "pub": {"data": {"n": 1}, "offset": 1}}
        }
        two = {"id": 3, "publish": {"channel": "room:a", "data": {"n": 2}}}, {"id": 4, "rpc": {}}
        assert await client.send(*two) == 204
        assert (await client.receive())["push"]["pub"]["data"] == {"n": 2}
        assert (await client.receive())["id"] == 3
        assert (await client.receive())["id"] == 4


async def test_line_ends_in_data_do_not_break_events(house: House, transport: Transport):
    async with stream(house, transport) as client:
        await client.send({"id": 2, "subscribe": {"channel": "room:a"}})
        await client.receive()
        text = '{"id":3,"publish":{"channel":"room:a","data":{"text":"a\\r\\nb",\r"n":\t1}}}'
        body = {"session": client.session, "node": client.node, "data": text}
        assert (await client.http.post("/emulation", json=body)).status_code == 204
        assert (await client.receive())["push"]["pub"]["data"] == {"text": "a\r\nb", "n": 1}


async def test_headers_keep_proxies_from_holding_back(house: House, transport: Transport):
    async with stream(house, transport) as client:
        headers = client.response.headers
        assert headers["x-accel-buffering"] == "no"
        assert "no-store" in headers["cache-control"]
        assert headers["transfer-encoding"] == "chunked"
        kind = "text/event-stream" if transport == "sse" else "application/x-ndjson"
        assert headers["content-type"].startswith(kind)


async def test_an_event_stream_begins_with_a_line_end(house: House):
    query = {"cf_connect": '{"id":1,"connect":{"token":"ann"}}'}
    async with (
        httpx.AsyncClient(base_url=house.http_url) as http,
        http.stream("GET", "/connection/sse", params=query) as response,
    ):
        assert (await anext(response.aiter_bytes())).startswith(b"\r\n")


async def test_the_end_of_a_stream_is_a_push_with_the_code(house: House, transport: Transport):
    async with stream(house, transport) as client:
        await house.hub.close()
        assert await client.receive() == {
            "push": {"disconnect": {"code": 3001, "reason": "shutdown"}}
        }
        assert await client.receive() is None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"id": 1, "connect": {"token": "bad"}}, 3500),
        ({"id": 1, "subscribe": {"channel": "room:a"}}, 3501),
        ({"id": 1, "connect": {"token": "ann", "name": "x" * 17}}, 3501),
        ({}, 3501),
        ([], 3501),
    ],
)
async def test_wrong_first_commands_end_the_stream_with_their_code(
    house: House, transport: Transport, command: Any, code: int
):
    async with request(house, transport, command) as client:
        assert (await client.receive())["push"]["disconnect"]["code"] == code
        assert await client.receive() is None
    await until(lambda: not house.hub.connections)


async def test_a_malformed_emulated_frame_closes_its_connection_only(
    house: House, transport: Transport
):
    async with stream(house, transport) as other, stream(house, transport) as client:
        assert await client.send(data="{{") == 204
        assert (await client.receive())["push"]["disconnect"]["code"] == 3501
        assert await client.receive() is None
        await house.publish("taps:ann", 1)
        assert (await other.receive())["push"]["pub"]["data"] == 1


async def test_a_client_that_goes_away_is_noticed_at_once(house: House, transport: Transport):
    async with stream(house, transport) as client:
        assert len(house.hub.emulated) == 1
        session, node = client.session, client.node
    await until(lambda: not house.hub.connections, "the end to be noticed", 1)
    assert not house.hub.emulated
    body = {"session": session, "node": node, "data": "{}"}
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        assert (await http.post("/emulation", json=body)).status_code == 404


async def test_a_stream_that_does_not_answer_pings_is_ended(transport: Transport):
    settings = config.Realtime(ping_interval_seconds=0.2, pong_timeout_seconds=0.2)
    async with open_house(MemoryBroker, settings) as house, stream(house, transport) as client:
        client.session = "elsewhere"
        assert (await client.receive())["push"]["disconnect"]["code"] == 3012


async def test_a_stream_answers_pings_by_emulation(transport: Transport):
    settings = config.Realtime(ping_interval_seconds=0.1, pong_timeout_seconds=5.0)
    async with open_house(MemoryBroker, settings) as house, stream(house, transport) as client:
        before = pongs()
        reading = asyncio.create_task(client.receive())
        await until(lambda: pongs() >= before + 2)
        await house.publish("taps:ann", 1)
        assert (await reading)["push"]["pub"]["data"] == 1


def pongs() -> float:
    return REGISTRY.get_sample_value("pinghub_client_ping_pong_duration_seconds_count") or 0.0


async def test_protobuf_streams_carry_messages_after_their_length(house: House):
    binary = {"content-type": "application/octet-stream"}
    connect = client_pb2.Command(id=1, connect=client_pb2.ConnectRequest(token="ann"))
    async with (
        httpx.AsyncClient(base_url=house.http_url, headers=binary) as http,
        http.stream("POST", "/connection/http_stream", content=delimited(connect)) as response,
    ):
        assert response.headers["content-type"] == "application/octet-stream"
        replies = read_replies(response)
        result = (await anext(replies)).connect
        assert result.node == house.hub.node_id
        history = client_pb2.HistoryRequest(channel="taps:ann")
        emulation = client_pb2.EmulationRequest(
            node=result.node,
            session=result.session,
            data=delimited(client_pb2.Command(id=2, history=history)),
        )
        answer = await http.post("/emulation", content=emulation.SerializeToString())
        assert answer.status_code == 204
        reply = await anext(replies)
        assert reply.id == 2
        assert reply.history.epoch
        await house.publish("taps:ann", {"n": 1})
        assert (await anext(replies)).push.pub.data == b'{"n":1}'
        await house.hub.close()
        assert (await anext(replies)).push.disconnect.code == 3001


def delimited(message: client_pb2.Command) -> bytes:
    data = message.SerializeToString()
    assert len(data) < 128
    return bytes([len(data)]) + data


async def read_replies(response: httpx.Response) -> AsyncIterator[client_pb2.Reply]:
    waiting = b""
    async for chunk in response.aiter_bytes():
        waiting += chunk
        while waiting:
            # A length of two bytes is enough for a test.
            length, start = waiting[0], 1
            if length >= 128:
                length, start = (length & 127) + 128 * waiting[1], 2
            if len(waiting) < start + length:
                break
            yield client_pb2.Reply.FromString(waiting[start : start + length])
            waiting = waiting[start + length :]


@pytest.mark.parametrize("path", ["/connection/http_stream", "/connection/sse", "/emulation"])
async def test_only_pages_of_allowed_origins_are_served_and_told_so(house: House, path: str):
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        allowed = await http.options(path, headers=PREFLIGHT)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert allowed.headers["access-control-allow-headers"] == "content-type"
        assert "POST" in allowed.headers["access-control-allow-methods"]
        assert allowed.headers["access-control-max-age"] == "300"
        assert allowed.headers["vary"] == "Origin"
        for method in ("OPTIONS", "POST"):
            refused = await http.request(
                method, path, headers={**PREFLIGHT, "origin": "https://evil.example"}
            )
            assert refused.status_code == 403
            assert refused.json() == {"code": "request.origin_refused"}
            assert "access-control-allow-origin" not in refused.headers
        native = await http.options(path)
        assert native.status_code == 204
        assert "access-control-allow-origin" not in native.headers
        wrong = await http.put(path)
        assert wrong.status_code == 405
        assert "POST" in wrong.headers["allow"]


async def test_answers_can_be_read_by_pages_of_allowed_origins(house: House, transport: Transport):
    connect = {"id": 1, "connect": {"token": "ann"}}
    async with request(house, transport, connect, origin=ORIGIN) as client:
        assert client.response.headers["access-control-allow-origin"] == ORIGIN
        assert "connect" in await client.receive()


async def test_requests_that_are_too_large_or_malformed_are_refused(house: House):
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        large = "x" * 10_001
        for path in ("/connection/http_stream", "/connection/sse", "/emulation"):
            assert (await http.post(path, content=large)).status_code == 413
        query = {"cf_connect": large}
        assert (await http.get("/connection/sse", params=query)).status_code == 413
        assert (await http.get("/connection/sse")).status_code == 400
        for body in (b"", b"{", b"[]", b'{"session":1}', b'{"data":"{}"}', b"\xff"):
            refused = await http.post("/emulation", content=body)
            assert refused.status_code == 400, body
            assert refused.json() == {"code": "request.malformed"}
        binary = {"content-type": "application/octet-stream"}
        assert (await http.post("/emulation", content=b"\xff", headers=binary)).status_code == 400
    assert not house.hub.connections


@pytest.mark.parametrize("node", ["", "unknown", "here"])
async def test_emulation_to_nobody_is_not_found(house: House, node: str):
    body = {"session": "s", "node": house.hub.node_id if node == "here" else node, "data": "{}"}
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        assert (await http.post("/emulation", json=body)).status_code == 404


async def test_a_draining_hub_takes_no_new_streams(house: House, transport: Transport):
    house.hub.draining = True
    async with request(house, transport, {"id": 1, "connect": {"token": "ann"}}) as client:
        assert client.response.status_code == 503


async def test_a_client_that_does_not_read_is_cut_off_and_others_are_served(
    house: House,
    transport: Transport,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("hub.realtime.carriers.stream._CLOSE_SECONDS", 0.2)
    connect = '{"id":1,"connect":{"token":"ann"}}'
    head = (
        f"POST /connection/{transport} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(connect)}\r\n\r\n{connect}"
    )
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", house.port))
        deaf.sendall(head.encode())
        await until(lambda: house.hub.connections)
        (slow,) = house.hub.connections
        async with stream(house, transport) as client:
            published = 0
            while not slow.closing:
                published += 1
                assert published < 1000
                await house.publish("taps:ann", "x" * 50_000)
                assert (await client.receive())["push"]["pub"]["data"] == "x" * 50_000
                assert slow.waiting_bytes <= 100_000
            assert slow.closing.code == 3008
            # Cut, not only given up: the server keeps nothing for a client that never reads.
            await until(lambda: slow not in house.hub.connections and house.sockets == 1)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
