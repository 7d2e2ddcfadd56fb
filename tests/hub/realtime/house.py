"""A hub behind a real server, and what tests need to look at it from outside."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
import uvicorn
import websockets
from msgspec import Raw

from core import config
from hub.http import wire
from hub.realtime import codes
from hub.realtime.application import ClientError, ConnectionRequest, MessageHandler, RpcHandler
from hub.realtime.broker import Broker, HistoryOptions, PublishRequest
from hub.realtime.carriers.fast_websocket import FastWebSocket
from hub.realtime.cluster.control import Control
from hub.realtime.endpoints import endpoints
from hub.realtime.hub import Hub
from hub.realtime.namespaces import Namespace
from hub.realtime.tokens.claims import (
    ConnectClaims,
    SubscribeClaims,
    SubscribeOptions,
    TokenExpiredError,
    TokenInvalidError,
)

API_KEY = "an-api-key"
KEPT = HistoryOptions(size=1000, ttl_seconds=600)
NAMESPACES = {
    "taps": Namespace(
        personal=True,
        history_size=KEPT.size,
        history_ttl_seconds=KEPT.ttl_seconds,
        force_recovery=True,
        force_positioning=True,
        allow_history_for_subscriber=True,
    ),
    "room": Namespace(
        ask=True,
        history_size=KEPT.size,
        history_ttl_seconds=KEPT.ttl_seconds,
        force_recovery=True,
        force_positioning=True,
        allow_publish_for_subscriber=True,
        allow_history_for_subscriber=True,
    ),
    "short": Namespace(
        ask=True,
        history_size=3,
        history_ttl_seconds=600,
        force_recovery=True,
        force_positioning=True,
        allow_history_for_subscriber=True,
    ),
    "stocks": Namespace(
        ask=True,
        history_size=KEPT.size,
        history_ttl_seconds=KEPT.ttl_seconds,
        force_recovery=True,
        allowed_delta_types=("fossil",),
        allow_tags_filter=True,
        allow_publish_for_subscriber=True,
    ),
    "state": Namespace(
        ask=True,
        history_size=1,
        history_ttl_seconds=600,
        force_recovery=True,
        force_recovery_mode="cache",
    ),
    "news": Namespace(
        ask=True,
        history_size=1,
        history_ttl_seconds=600,
        force_recovery=True,
        force_recovery_mode="cache",
        auto_cache_recover=True,
    ),
    "plain": Namespace(ask=True),
    "seen": Namespace(
        ask=True,
        presence=True,
        join_leave=True,
        force_push_join_leave=True,
        allow_presence_for_subscriber=True,
    ),
}


class App:
    """An application for tests: a token is `user` or `user@unix-seconds`; "bad" is forged.

    Subscription tokens are `user|channel` or `user|channel|unix-seconds`.
    """

    def __init__(self) -> None:
        self.requests: list[ConnectionRequest] = []
        self.messages: list[Any] = []
        self.rpc: dict[str, RpcHandler] = {"echo": self._echo, "refuse": self._refuse}
        self.on_message: MessageHandler | None = self._take

    async def verify_connection(self, token: str, request: ConnectionRequest) -> ConnectClaims:
        self.requests.append(request)
        user, _, expires_at = token.partition("@")
        if user in ("", "bad"):
            raise TokenInvalidError
        claims = ConnectClaims(user=user, expires_at=int(expires_at or 0))
        if claims.expires_at and claims.expires_at <= time.time():
            raise TokenExpiredError
        return claims

    async def verify_subscription(self, token: str) -> SubscribeClaims:
        user, _, rest = token.partition("|")
        channel, _, expires_at = rest.partition("|")
        if user == "bad":
            raise TokenInvalidError
        if expires_at and int(expires_at) <= time.time():
            raise TokenExpiredError
        options = SubscribeOptions(expires_at=int(expires_at or 0))
        return SubscribeClaims(user=user, channel=channel, options=options)

    async def authorize(self, claims: ConnectClaims, channel: str) -> bool:
        return not channel.endswith(":secret") or claims.user == "ann"

    async def _echo(self, claims: ConnectClaims, data: Raw) -> bytes:
        return b'{"user":%b,"data":%b}' % (msgspec.json.encode(claims.user), bytes(data))

    async def _refuse(self, claims: ConnectClaims, data: Raw) -> bytes:
        del claims, data
        raise ClientError(codes.Error(404, "not.found"))

    async def _take(self, claims: ConnectClaims, data: Raw) -> None:
        self.messages.append((claims.user, msgspec.json.decode(data)))


Carrier = Literal["fast", "portable"]


class House:
    """A served hub: its address, its parts, and how to stop and start it at the same port."""

    def __init__(
        self,
        make_broker: Callable[[], Broker],
        settings: config.Realtime,
        allowed_origins: tuple[str, ...],
        carrier: Carrier,
        make_control: Callable[[], Control] | None,
    ) -> None:
        self._carrier = carrier
        self._make_control = make_control
        self._make_broker = make_broker
        self._settings = settings
        self._allowed_origins = allowed_origins
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sockets(self) -> int:
        """How many connections the server has, whatever they carry."""
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        self.broker = self._make_broker()
        self.app = App()
        control = self._make_control() if self._make_control else None
        self.hub = Hub(self._settings, self.broker, NAMESPACES, self.app, control=control)
        await self.hub.start()
        settings = uvicorn.Config(
            endpoints(self.hub, allowed_origins=self._allowed_origins, api_keys=(API_KEY,)),
            http=wire.bounded(100_000),
            port=self.port,
            log_level="critical",
            lifespan="off",
            loop="uvloop",
            ws=FastWebSocket if self._carrier == "fast" else "websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        settings.load()
        self._server = uvicorn.Server(settings)
        self._server.lifespan = settings.lifespan_class(settings)
        # Not `serve`, whose loop looks for a stop only every tenth of a second.
        await self._server.startup()
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection without a word, as a killed process would."""
        for listener in self._server.servers:
            listener.close()
        for protocol in list(self._server.server_state.connections):
            protocol.transport.abort()  # pyright: ignore[reportAttributeAccessIssue]
        await asyncio.gather(*self._server.server_state.tasks)
        await self.hub.close()

    async def publish(self, channel: str, data: Any, key: str = "") -> None:
        namespace = NAMESPACES[channel.removeprefix("$").partition(":")[0]]
        await self.broker.publish(
            PublishRequest(
                channel=channel,
                data=msgspec.json.encode(data),
                history=HistoryOptions(namespace.history_size, namespace.history_ttl_seconds),
                idempotency_key=key,
            )
        )


@asynccontextmanager
async def open_house(
    make_broker: Callable[[], Broker],
    settings: config.Realtime | None = None,
    allowed_origins: tuple[str, ...] = (),
    carrier: Carrier = "fast",
    make_control: Callable[[], Control] | None = None,
) -> AsyncGenerator[House]:
    """Serve a hub; without `make_control` it is the only process."""
    settings = settings or config.Realtime()
    house = House(make_broker, settings, allowed_origins, carrier, make_control)
    await house.start()
    try:
        yield house
    finally:
        await house.stop()


class Socket:
    """A client that speaks frames, for what no SDK would do."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection
        self._read: list[Any] = []

    async def send(self, *commands: dict[str, Any]) -> None:
        await self.connection.send("\n".join(json.dumps(item) for item in commands))

    async def receive(self) -> Any:
        """Return the next message, answering pings; several may have come in one frame."""
        while True:
            while not self._read:
                # Not wait_for, which in 3.11 forgets a cancellation when a frame came just then.
                async with asyncio.timeout(10):
                    frame = await self.connection.recv()
                self._read = [json.loads(line) for line in frame.splitlines()]
            message = self._read.pop(0)
            if message:
                return message
            await self.connection.send("{}")

    async def closed(self) -> tuple[int, str]:
        """Read to the end; return code and reason of the close frame."""
        try:
            while True:
                await asyncio.wait_for(self.connection.recv(), 10)
        except websockets.ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def socket(house: House, token: str = "", **request: Any) -> AsyncGenerator[Socket]:
    """Open a socket; connected already when a token is given."""
    async with websockets.connect(house.url, max_size=None) as connection:
        client = Socket(connection)
        if token:
            await client.send({"id": 1, "connect": {"token": token, **request}})
            assert "connect" in await client.receive()
        yield client


async def until(
    condition: Callable[[], object], what: str = "a condition", seconds: float = 10.0
) -> None:
    """Let the loop run until the condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.005)


async def raises_eventually(call: Callable[[], Awaitable[object]], error: type[Exception]) -> None:
    """Call until it fails in the expected way."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            await call()
        except error:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{error.__name__} was never raised")
