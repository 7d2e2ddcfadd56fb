"""HTTP streaming: a connection whose messages are the endless body of a POST's answer.

Its first commands are the body of the request, its later ones come to `/emulation`.
"""

from collections.abc import Iterable

from hub.realtime.carriers import http_exchange, origin
from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.carriers.stream import Form, serve_stream
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.protobuf_framing import PROTOBUF


def http_stream_endpoint(hub: Hub, allowed_origins: Iterable[str] = ()) -> AsgiApp:
    """Return the ASGI application of `/connection/http_stream`.

    Bodies of type application/octet-stream are Protobuf and answered in it, all others JSON.
    """
    allowed = origin.known_origins(allowed_origins)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = await http_exchange.admit(scope, send, allowed, ("POST",))
            first = await http_exchange.read_body(
                receive, send, hub.settings.max_message_bytes, headers
            )
            form = _PROTOBUF if http_exchange.framing_of(scope) is PROTOBUF else _JSON
            await serve_stream(hub, form, first, headers, (scope, receive, send))
        except http_exchange.AnsweredError as answered:
            answered.note("http_stream")

    return endpoint


def _line(frame: bytes) -> bytes:
    return frame + b"\n"


def _as_it_is(frame: bytes) -> bytes:
    # Protobuf messages carry their length.
    return frame


_JSON = Form("http_stream", JSON, b"application/x-ndjson", b"", _line)
_PROTOBUF = Form("http_stream", PROTOBUF, b"application/octet-stream", b"", _as_it_is)
