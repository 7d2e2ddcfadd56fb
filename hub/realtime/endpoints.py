"""Every realtime endpoint at its path, as one ASGI application.

The standalone server serves it as it is; the product serves it beside REST.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from core import metrics
from hub.realtime.carriers import http_exchange
from hub.realtime.carriers.asgi_websocket import (
    AsgiApp,
    Receive,
    Scope,
    Send,
    websocket_endpoint,
)
from hub.realtime.carriers.echo import echo_endpoint
from hub.realtime.carriers.emulation import emulation_endpoint
from hub.realtime.carriers.http_stream import http_stream_endpoint
from hub.realtime.carriers.sse import sse_endpoint
from hub.realtime.doors import note_refusal
from hub.realtime.hub import Hub
from hub.realtime.server_api.endpoint import server_api_endpoint
from hub.realtime.server_api.tail import tail_endpoint

API: Final = "/api"
TAIL: Final = "/tail"
"""What is below the API's path and no method of it: an answer without an end."""
ECHO: Final = "/autobahn"
_API_BODY_MAX_BYTES: Final = 1_048_576
# Conformance suites send messages of 16 MiB.
_ECHO_MESSAGE_MAX_BYTES: Final = 16 * 1_048_576
_ECHO_WAITING_MAX_BYTES: Final = 64 * 1_048_576
_JSON: Final = b"application/json"
_PROBLEM: Final = b"application/problem+json"


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Where each endpoint is; "" leaves it out."""

    websocket: str = "/connection/websocket"
    http_stream: str = "/connection/http_stream"
    sse: str = "/connection/sse"
    emulation: str = "/emulation"
    api: str = API
    """And all below it: `/api/publish` as well as `/api`."""
    health: str = ""
    metrics: str = ""
    echo: str = ""


DEFAULT: Final = Paths()


def endpoints(
    hub: Hub,
    *,
    paths: Paths = DEFAULT,
    allowed_origins: Iterable[str] = (),
    api_keys: Sequence[str] | None = (),
    api_body_max_bytes: int = _API_BODY_MAX_BYTES,
) -> AsgiApp:
    """Return the application of a hub; `api_keys` None opens the server API to everybody."""
    origins = tuple(allowed_origins)
    websocket = websocket_endpoint(hub, origins)
    echo = echo_endpoint(
        max_message_bytes=_ECHO_MESSAGE_MAX_BYTES, max_waiting_bytes=_ECHO_WAITING_MAX_BYTES
    )
    api = server_api_endpoint(hub, api_keys, api_body_max_bytes)
    tail = tail_endpoint(hub, api_keys)
    sockets = {paths.websocket: websocket, paths.echo: echo}
    requests = {
        paths.websocket: websocket,
        paths.http_stream: http_stream_endpoint(hub, origins),
        paths.sse: sse_endpoint(hub, origins),
        paths.emulation: emulation_endpoint(hub, hub.control, origins),
        paths.health: _health(hub),
        paths.metrics: _metrics,
    }
    for found in (sockets, requests):
        found.pop("", None)

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["type"] == "websocket":
            await sockets.get(path, nothing_here)(scope, receive, send)
        elif paths.api and path == paths.api + TAIL:
            await tail(scope, receive, send)
        elif paths.api and (path == paths.api or path.startswith(f"{paths.api}/")):
            await api({**scope, "path": API + path.removeprefix(paths.api)}, receive, send)
        else:
            await requests.get(path, nothing_here)(scope, receive, send)

    return route


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 404; a websocket is refused before it opens."""
    note_refusal("none", 404, "request.not_found")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
    else:
        await _answer(send, 404, b'{"status":404,"code":"request.not_found"}', _PROBLEM)


def _health(hub: Hub) -> AsgiApp:
    async def health(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        well = hub.broker.healthy and not hub.draining
        await _answer(send, 200 if well else 503, b"{}", _JSON)

    return health


async def _metrics(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await _answer(send, 200, metrics.render(), metrics.CONTENT_TYPE.encode())


async def _answer(send: Send, status: int, body: bytes, media_type: bytes) -> None:
    await http_exchange.respond(send, status, [(b"content-type", media_type)], body)
