"""What the transports over plain HTTP share: who may ask, how, and with how large a body."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, NoReturn

from hub.realtime.carriers import origin
from hub.realtime.carriers.asgi_websocket import Receive, Scope, Send
from hub.realtime.doors import Door, note_refusal
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.protobuf_framing import PROTOBUF

Headers = list[tuple[bytes, bytes]]

BODY_SECONDS: Final = 15.0
_PREFLIGHT_MAX_AGE_SECONDS: Final = 300
_PROTOBUF_TYPE: Final = b"application/octet-stream"


class AnsweredError(Exception):
    """The request was answered already: refused, or all that it asked for were the rules."""

    def __init__(self, status: int = 0, code: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code

    def note(self, door: Door) -> None:
        """Tell of it, if it is a refusal."""
        if self.code:
            note_refusal(door, self.status, self.code)


async def admit(
    scope: Scope, send: Send, allowed_origins: Collection[str], methods: Sequence[str]
) -> Headers:
    """Return the headers that let the request's page read the answer, or raise AnsweredError.

    Answers pages of other origins than those allowed (403), preflights (204) and wrong methods.
    """
    if not origin.is_allowed(scope["headers"], allowed_origins):
        await refuse(send, 403, "request.origin_refused")
    headers: Headers = []
    if asking := header(scope, b"origin"):
        headers = [
            (b"access-control-allow-origin", asking),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
    known = ", ".join((*methods, "OPTIONS")).encode()
    if scope["method"] == "OPTIONS":
        rules = [
            *headers,
            (b"access-control-allow-methods", known),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_MAX_AGE_SECONDS),
        ]
        if asked := header(scope, b"access-control-request-headers"):
            rules.append((b"access-control-allow-headers", asked))
        await respond(send, 204, rules)
        raise AnsweredError
    if scope["method"] not in methods:
        await refuse(send, 405, "request.method_not_allowed", [*headers, (b"allow", known)])
    return headers


async def read_body(receive: Receive, send: Send, max_bytes: int, headers: Headers) -> bytes:
    """Return the body, or raise AnsweredError: it was too large, too slow, or nobody is left."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise AnsweredError
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    await refuse(send, 413, "request.too_large", headers)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        await respond(send, 408, headers)
        raise AnsweredError(408, "request.timeout") from None


def framing_of(scope: Scope) -> Framing:
    """Return the format that a request's body has and its answer gets."""
    media_type = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    return PROTOBUF if media_type == _PROTOBUF_TYPE else JSON


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """Return a header of the request."""
    return next((value for name, value in scope["headers"] if name == wanted), None)


async def respond(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    """Answer the whole request."""
    if status != 204:  # noqa: PLR2004  # No Content has no length either
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, status: int, code: str, headers: Headers | None = None) -> NoReturn:
    """Answer with a code of the catalogue, then raise AnsweredError."""
    problem = (b"content-type", b"application/problem+json")
    await respond(send, status, [*(headers or []), problem], b'{"code":"%b"}' % code.encode())
    raise AnsweredError(status, code)
