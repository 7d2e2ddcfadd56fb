"""Server-sent events: a connection whose messages are the events of an EventSource, in JSON.

Its first commands are the query's `cf_connect` (EventSource can send nothing else) or the body of
a POST, its later ones come to `/emulation`.
"""

from collections.abc import Iterable
from urllib.parse import parse_qs

from hub.realtime.carriers import http_exchange, origin
from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.carriers.http_exchange import Headers
from hub.realtime.carriers.stream import Form, serve_stream
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON


def sse_endpoint(hub: Hub, allowed_origins: Iterable[str] = ()) -> AsgiApp:
    """Return the ASGI application of `/connection/sse`."""
    allowed = origin.known_origins(allowed_origins)
    max_bytes = hub.settings.max_message_bytes

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = await http_exchange.admit(scope, send, allowed, ("GET", "POST"))
            if scope["method"] == "GET":
                first = await _read_query(scope, send, max_bytes, headers)
            else:
                first = await http_exchange.read_body(receive, send, max_bytes, headers)
            await serve_stream(hub, _EVENTS, first, headers, (scope, receive, send))
        except http_exchange.AnsweredError as answered:
            answered.note("sse")

    return endpoint


async def _read_query(scope: Scope, send: Send, max_bytes: int, headers: Headers) -> bytes:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    first = query.get("cf_connect", [""])[0].encode()
    if not first:
        await http_exchange.refuse(send, 400, "request.malformed", headers)
    if len(first) > max_bytes:
        await http_exchange.refuse(send, 413, "request.too_large", headers)
    return first


def _events(frame: bytes) -> bytes:
    # One event per message, as the original sends them; messages contain no line ends.
    return b"".join(b"data: %b\n\n" % message for message in frame.split(b"\n"))


# The first bytes make proxies and browsers see at once that the answer has begun.
_EVENTS = Form("sse", JSON, b"text/event-stream; charset=utf-8", b"\r\n", _events)
