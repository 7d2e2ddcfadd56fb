"""The fast carrier: a websocket protocol class for uvicorn that outlives the ASGI call.

The handshake is ordinary ASGI, so that the application routes and refuses as always. An endpoint
that knows this carrier takes the socket out of the scope and returns: task, scope and queues are
freed, and what is left of an idle connection is the socket and its session.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from core import log
from hub.realtime.doors import note_refusal
from hub.realtime.websocket import handshake
from hub.realtime.websocket.deflate import inflate
from hub.realtime.websocket.frames import FrameReader
from hub.realtime.websocket.socket import Listener, Socket

_EXTENSION: Final = "pinghub.websocket"
_INTERNAL_ERROR: Final = 1011
_SERVICE_RESTART: Final = 1012
_ABNORMAL: Final = 1006
# What the end of an answer needs is said here.
_OURS: Final = frozenset((b"content-length", b"connection"))

AsgiMessage = MutableMapping[str, Any]

_logger = log.get("realtime.websocket")


def detachable(scope: MutableMapping[str, Any]) -> "FastWebSocket | None":
    """Return the socket of a websocket scope, when this carrier serves it."""
    return cast("FastWebSocket | None", (scope.get("extensions") or {}).get(_EXTENSION))


class FastWebSocket(Socket):
    """What uvicorn makes of every upgrade request when it is its `ws` class."""

    __slots__ = ("_connections", "_opening")

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__()
        self._connections = cast("set[Any]", server_state.connections)
        self._opening: _Opening | None = _Opening(self, config, server_state, app_state)

    @property
    def is_answered(self) -> bool:
        """Whether the handshake is over, one way or the other."""
        return self._opening is None

    def detach(
        self,
        listener: Listener,
        *,
        subprotocol: str | None = None,
        max_message_bytes: int,
        max_waiting_bytes: int,
        may_deflate: bool = False,
    ) -> bool:
        """Accept and speak to the listener from now on; False when the peer is gone already."""
        opening = self._end_opening()
        if opening is None or opening.request is None or self.transport.is_closing():
            return False
        self.deflated = may_deflate and opening.request.offers_deflate
        self.transport.write(
            handshake.accept(
                opening.request, subprotocol, deflate=self.deflated, headers=opening.headers
            )
        )
        reader = FrameReader(max_message_bytes, inflate if self.deflated else None)
        self.open(listener, reader, max_waiting_bytes)
        self.transport.resume_reading()
        return True

    def refuse(self, response: bytes) -> None:
        """Answer by HTTP instead of accepting."""
        self._end_opening()
        if not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._opening:
            # Nothing more is expected before our answer, and nothing more is kept.
            self.transport.pause_reading()
            self._opening.begin(data)
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._end_opening()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops and waits no longer: uvicorn calls this after the drain."""
        if self._opening:
            self.refuse(handshake.respond(503, [], b""))
        else:
            self.close(_SERVICE_RESTART)

    def _end_opening(self) -> "_Opening | None":
        opening, self._opening = self._opening, None
        if opening:
            # The ASGI call has nothing more to wait for.
            opening.over.set()
        return opening


class _Opening:
    """The handshake of one socket, as the application sees it: an ASGI call."""

    def __init__(
        self,
        socket: FastWebSocket,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self.request: handshake.Request | None = None
        self.headers = server_state.default_headers
        self.over = asyncio.Event()
        self._socket = socket
        self._config = config
        self._tasks = server_state.tasks
        self._app_state = app_state
        self._is_announced = False
        self._answer: tuple[int, handshake.Headers] | None = None
        self._body = b""

    def begin(self, head: bytes) -> None:
        """Take the request and ask the application."""
        try:
            self.request = handshake.read_request(head)
        except handshake.RefusedError as refusal:
            note_refusal("websocket", refusal.status, "request.malformed")
            self._socket.refuse(refusal.response)
            return
        task = asyncio.get_running_loop().create_task(self._run(self._scope(self.request)))
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)

    async def _run(self, scope: MutableMapping[str, Any]) -> None:
        app = cast("Callable[..., Awaitable[None]]", self._config.loaded_app)
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            _logger.exception("websocket_application_failed")
            self._socket.close(_INTERNAL_ERROR)
        if not self._socket.is_answered:
            self._socket.refuse(handshake.respond(500, [], b""))

    def _scope(self, request: handshake.Request) -> MutableMapping[str, Any]:
        path, _, query = request.target.partition(b"?")
        transport = self._socket.transport
        root = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": root,
            "path": root + unquote(path.decode("ascii")),
            "raw_path": root.encode("ascii") + path,
            "query_string": query,
            "headers": request.headers,
            "subprotocols": request.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, _EXTENSION: self._socket},
        }

    async def _receive(self) -> AsgiMessage:
        if not self._is_announced:
            self._is_announced = True
            return {"type": "websocket.connect"}
        await self.over.wait()
        return {"type": "websocket.disconnect", "code": _ABNORMAL}

    async def _send(self, message: AsgiMessage) -> None:
        match message["type"]:
            case "websocket.close":
                self._socket.refuse(handshake.respond(403, self.headers, b""))
            case "websocket.http.response.start":
                self._answer = message["status"], list(message.get("headers", []))
            case "websocket.http.response.body" if self._answer:
                self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    status, headers = self._answer
                    kept = [item for item in headers if item[0].lower() not in _OURS]
                    response = handshake.respond(status, [*kept, *self.headers], self._body)
                    self._socket.refuse(response)
            case other:
                raise RuntimeError(f"this carrier is accepted by detaching, not by {other}")
