"""The fast carrier below the application: handshakes, refusals, and what is left afterwards."""

import asyncio
import gc
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import websockets
from websockets.extensions.permessage_deflate import PerMessageDeflate

from core import config
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.carriers.fast_websocket import FastWebSocket, detachable
from hub.realtime.delivery import outbox
from hub.realtime.websocket.frames import Message
from tests.hub.realtime.house import KEPT, House, Socket, open_house, socket, until


class Listener:
    """Takes whatever a detached socket brings."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.is_lost = False

    def on_message(self, message: Message) -> bool:
        self.messages.append(message.payload)
        return True

    def on_pong(self) -> None:
        raise AssertionError

    def on_overflow(self) -> None:
        raise AssertionError

    def on_lost(self) -> None:
        self.is_lost = True


@asynccontextmanager
async def serving(app: AsgiApp) -> AsyncGenerator[tuple[uvicorn.Server, str]]:
    settings = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws=FastWebSocket)
    settings.load()
    server = uvicorn.Server(settings)
    server.lifespan = settings.lifespan_class(settings)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server, f"ws://127.0.0.1:{port}/some/where"
    finally:
        server.servers[0].close()
        for protocol in list(server.server_state.connections):
            protocol.transport.abort()  # pyright: ignore[reportAttributeAccessIssue]
        await until(lambda: not server.server_state.tasks)


def answering(*messages: dict[str, Any]) -> AsgiApp:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    return app


async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("app", "status", "body"),
    [
        (failing, 500, b""),
        (answering(), 500, b""),
        (answering({"type": "websocket.accept"}), 500, b""),
        (answering({"type": "websocket.close", "code": 4404}), 403, b""),
        (
            answering(
                {
                    "type": "websocket.http.response.start",
                    "status": 418,
                    "headers": [(b"content-type", b"text/tea"), (b"content-length", b"9")],
                },
                {"type": "websocket.http.response.body", "body": b"no ", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"coffee"},
            ),
            418,
            b"no coffee",
        ),
    ],
)
async def test_an_application_that_does_not_detach_is_answered_by_http(
    app: AsgiApp, status: int, body: bytes
):
    async with serving(app) as (server, url):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url)
        assert (refused.value.response.status_code, refused.value.response.body) == (status, body)
        await until(lambda: not server.server_state.connections)


async def test_what_the_application_sees_is_a_websocket_scope():
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "websocket.close"})

    async with serving(app) as (_, url):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"{url}%20else?a=b", subprotocols=["x", "y"])  # pyright: ignore[reportArgumentType]
    (scope,) = seen
    assert (scope["type"], scope["path"], scope["raw_path"]) == (
        "websocket",
        "/some/where else",
        b"/some/where%20else",
    )
    assert (scope["query_string"], scope["subprotocols"]) == (b"a=b", ["x", "y"])
    assert scope["client"][0] == scope["server"][0] == "127.0.0.1"
    assert dict(scope["headers"])[b"sec-websocket-version"] == b"13"


async def test_who_leaves_during_the_handshake_is_reported_and_leaves_nothing():
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        told.append((await receive())["type"])
        told.append((await receive())["type"])
        socket = detachable(scope)
        assert socket is not None
        assert not socket.detach(Listener(), max_message_bytes=1, max_waiting_bytes=1)

    async with serving(app) as (server, url):
        opening = asyncio.create_task(websockets.connect(url).__aenter__())
        await until(lambda: told)
        # Reading rests until the answer, so only the server's end can notice.
        for protocol in list(server.server_state.connections):
            protocol.transport.abort()  # pyright: ignore[reportAttributeAccessIssue]
        await until(lambda: len(told) == 2)
        assert told == ["websocket.connect", "websocket.disconnect"]
        with pytest.raises((websockets.InvalidMessage, OSError, EOFError)):
            await opening
        await until(lambda: not server.server_state.tasks)


async def test_what_a_client_sends_too_early_is_read_after_the_handshake():
    gate = asyncio.Event()
    listener = Listener()

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        await gate.wait()
        socket = detachable(scope)
        assert socket is not None
        assert socket.detach(listener, max_message_bytes=100, max_waiting_bytes=100)

    async with serving(app) as (server, url):
        port = int(url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await until(lambda: server.server_state.tasks)
        writer.write(b"\x81\x82\0\0\0\0hi")
        await writer.drain()
        gate.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await until(lambda: listener.messages)
        assert listener.messages == [b"hi"]
        writer.close()
        await until(lambda: listener.is_lost)


async def test_a_stop_of_the_server_closes_what_is_open_and_refuses_what_is_opening():
    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        socket = detachable(scope)
        if socket and scope["query_string"] == b"open":
            socket.detach(Listener(), max_message_bytes=1, max_waiting_bytes=1)
        else:
            await receive()

    async with serving(app) as (server, url):
        async with websockets.connect(f"{url}?open") as connection:
            opening = asyncio.create_task(websockets.connect(url).__aenter__())
            await until(lambda: len(server.server_state.connections) == 2)
            await until(lambda: server.server_state.tasks)
            for protocol in list(server.server_state.connections):
                protocol.shutdown()
            assert (await Socket(connection).closed())[0] == 1012
        with pytest.raises(websockets.InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 503


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    settings = config.Realtime(websocket_deflate=True, max_message_bytes=10_000)
    async with open_house(MemoryBroker, settings) as house:
        yield house


async def test_a_detached_connection_keeps_no_task_and_no_scope(house: House):
    async with socket(house, "ann"):
        await until(lambda: not house._server.server_state.tasks)
        gc.collect()
        scopes = [
            item
            for item in gc.get_objects()
            if isinstance(item, dict) and item.get("type") == "websocket" and "headers" in item
        ]
        assert scopes == []
        assert len(asyncio.all_tasks()) < 10


async def test_what_is_published_together_leaves_in_one_write_for_each_subscriber(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    writes: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        writes.append(descriptor)
        return os.write(descriptor, data)

    async with socket(house, "ann") as first, socket(house, "bob") as second:
        for client in (first, second):
            for channel in ("room:a", "room:b"):
                await client.send({"id": 2, "subscribe": {"channel": channel}})
                assert "subscribe" in await client.receive()
        monkeypatch.setattr(outbox, "os", type("Os", (), {"write": staticmethod(write)}))
        channels = ["room:a", "room:b", "room:a", "room:a", "room:b"]
        await house.broker.publish_many(
            [
                PublishRequest(channel=channel, data=b"%d" % number, history=KEPT)
                for number, channel in enumerate(channels)
            ]
        )
        assert len(writes) == len(set(writes)) == 2
        for client in (first, second):
            pushes = [(await client.receive())["push"] for _ in channels]
            for channel in set(channels):
                numbers = [push["pub"]["data"] for push in pushes if push["channel"] == channel]
                assert numbers == [n for n, name in enumerate(channels) if name == channel]


async def test_compression_is_shared_and_only_for_who_asked_for_it(house: House):
    text = {"text": "all the same " * 200}
    async with (
        websockets.connect(house.url, compression="deflate") as packed,
        websockets.connect(house.url, compression=None) as plain,
    ):
        assert [type(item) for item in packed.protocol.extensions] == [PerMessageDeflate]
        assert packed.response is not None
        assert "no_context_takeover" in packed.response.headers["Sec-WebSocket-Extensions"]
        assert plain.protocol.extensions == []
        for connection in (packed, plain):
            client = Socket(connection)
            await client.send({"id": 1, "connect": {"token": "ann"}})
            await client.send({"id": 2, "subscribe": {"channel": "room:a"}})
            assert "connect" in await client.receive()
            assert "subscribe" in await client.receive()
        (channel,) = [
            item for name, item in house.hub._registry.channels.items() if name == "room:a"
        ]
        assert sorted(item.deflated for item in channel.audiences) == [False, True]
        for _ in range(3):
            await house.publish("room:a", text)
            for connection in (packed, plain):
                assert (await Socket(connection).receive())["push"]["pub"]["data"] == text


async def test_a_compression_bomb_is_refused_before_it_unfolds(house: House):
    async with websockets.connect(house.url, compression="deflate") as connection:
        await connection.send(" " * 5_000_000)
        assert (await Socket(connection).closed())[0] == 1009
