"""The portable carrier: a websocket over plain ASGI messages, under any server and test client.

One reader (the ASGI call itself) and one writer per connection. The writer puts everything that
waits into as few frames as possible; a client that does not read fills its buffer and is closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from hub.realtime import codes
from hub.realtime.carriers import origin
from hub.realtime.carriers.direct_outlet import DirectOutlet
from hub.realtime.carriers.fast_websocket import detachable
from hub.realtime.delivery.outlet import Queue
from hub.realtime.doors import note_refusal
from hub.realtime.hub import Hub
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.protobuf_framing import PROTOBUF
from hub.realtime.sessions.session import Pings

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SUBPROTOCOLS: Final = {f"centrifuge-{framing.name}": framing for framing in (JSON, PROTOBUF)}
# How long a client that does not read may delay its own close frame.
_CLOSE_SECONDS: Final = 3.0


def websocket_endpoint(hub: Hub, allowed_origins: Iterable[str] = ()) -> AsgiApp:
    """Return the ASGI application of `/connection/websocket`.

    Browsers send an Origin: it must be the page's own server or a listed one ("*": any). Native
    clients send none and are judged by their token alone.
    """
    allowed = origin.known_origins(allowed_origins)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            note_refusal("websocket", 426, "request.upgrade_required")
            await answer_http(send, 426, "http", b'{"detail":"This address speaks websocket."}')
            return
        await receive()
        if not origin.is_allowed(scope["headers"], allowed):
            await _refuse(scope, send, 403, "request.origin_refused")
        elif hub.turns_away:
            await _refuse(scope, send, 503, "service.unavailable")
        else:
            await _serve(hub, scope, receive, send)

    return endpoint


class _Carrier:
    """The two halves of one connection: the reader is the ASGI call, the writer a task."""

    def __init__(
        self, hub: Hub, framing: Framing, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._receive = receive
        self._send = send
        self._something = asyncio.Event()
        self._reader = asyncio.current_task()
        self._giving_up: asyncio.TimerHandle | None = None
        self._gave_up = False
        self._outlet = Queue(framing, hub.settings.buffer_max_bytes, self._wake)
        pings = Pings.NONE if _asks_for_frame_pings(scope) else Pings.MESSAGES
        self._connection = hub.open(self._outlet, framing, headers=scope["headers"], pings=pings)
        self._writer = asyncio.create_task(self._write())

    async def run(self, first: codes.Disconnect | None = None) -> None:
        """Carry frames both ways until the socket is closed by either side."""
        if first:
            self._connection.close(first)
        try:
            await self._read()
        except asyncio.CancelledError:
            if not self._gave_up or self._reader is None:
                raise
            self._reader.uncancel()
        finally:
            if self._giving_up:
                self._giving_up.cancel()
            self._connection.lost()
            self._writer.cancel()

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            # Text or binary makes no difference to the original either.
            text = message.get("text")
            await self._connection.receive(message["bytes"] if text is None else text)

    async def _write(self) -> None:
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                while frame := self._outlet.take():
                    await self._send({"type": "websocket.send", **self._payload(frame)})
                if closing := self._outlet.closing:
                    await self._send(
                        {
                            "type": "websocket.close",
                            "code": closing.code,
                            "reason": closing.reason,
                        }
                    )
                    return
        except (OSError, RuntimeError):
            # The socket went away while we wrote; the reader learns it from its own message.
            return

    def _payload(self, frame: bytes) -> AsgiMessage:
        return {"bytes": frame} if self._connection.framing.is_binary else {"text": frame.decode()}

    def _wake(self) -> None:
        self._something.set()
        if self._outlet.closing and self._giving_up is None:
            loop = asyncio.get_running_loop()
            self._giving_up = loop.call_later(_CLOSE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._gave_up = True
        if self._reader:
            self._reader.cancel()


async def _serve(hub: Hub, scope: Scope, receive: Receive, send: Send) -> None:
    framing, subprotocol = _choose_framing(scope)
    socket = detachable(scope)
    if socket is not None:
        outlet = DirectOutlet(socket, framing)
        if socket.detach(
            outlet,
            subprotocol=subprotocol,
            max_message_bytes=hub.settings.max_message_bytes,
            max_waiting_bytes=hub.settings.buffer_max_bytes,
            may_deflate=hub.settings.websocket_deflate,
        ):
            pings = Pings.FRAMES if _asks_for_frame_pings(scope) else Pings.MESSAGES
            hub.open(outlet, framing, headers=scope["headers"], pings=pings)
        return
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    # The hub may have begun to drain since the handshake did.
    carrier = _Carrier(hub, framing, scope, receive, send)
    await carrier.run(codes.CLOSE_SHUTDOWN if hub.draining else None)


def _asks_for_frame_pings(scope: Scope) -> bool:
    """Whether the client answers websocket pings but not the protocol's, as many tools do."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get("cf_ws_frame_ping_pong") == ["true"]


def _choose_framing(scope: Scope) -> tuple[Framing, str | None]:
    """Return the format and the subprotocol to confirm; the client's order decides."""
    offered: list[str] = scope.get("subprotocols") or []
    subprotocol = next((name for name in offered if name in _SUBPROTOCOLS), None)
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    asked = (*query.get("format", []), *query.get("cf_protocol", []))
    if PROTOBUF.name in asked:
        return PROTOBUF, subprotocol
    return (_SUBPROTOCOLS[subprotocol] if subprotocol else JSON), subprotocol


async def _refuse(scope: Scope, send: Send, status: int, code: str) -> None:
    note_refusal("websocket", status, code)
    body = b'{"code":"%b"}' % code.encode()
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await answer_http(send, status, "websocket.http", body)
    else:
        await send({"type": "websocket.close", "code": 1008})


async def answer_http(send: Send, status: int, prefix: str, body: bytes) -> None:
    await send(
        {
            "type": f"{prefix}.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/problem+json")],
        }
    )
    await send({"type": f"{prefix}.response.body", "body": body})
