"""The opening handshake of a websocket server, without I/O (RFC 6455 section 4.2, RFC 7692)."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, NamedTuple

Headers = list[tuple[bytes, bytes]]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_VERSION: Final = b"13"
_DEFLATE: Final = b"permessage-deflate"
_WINDOW: Final = b"15"
_LAST_TOKEN_BYTE: Final = 0x7F
_CLIENT_MAY_OFFER: Final = frozenset(
    (b"server_no_context_takeover", b"client_no_context_takeover", b"client_max_window_bits")
)


class Request(NamedTuple):
    """A request that may be accepted. `headers` have lower-case names."""

    target: bytes
    headers: Headers
    key: bytes
    subprotocols: list[str]
    offers_deflate: bool
    """Whether compression without context takeover, in full windows, is offered."""


class RefusedError(Exception):
    """The request is no websocket handshake; `response` is the whole answer."""

    def __init__(
        self, status: int, reason: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(reason)
        self.status = status
        body = reason.encode()
        self.response = respond(status, [(b"content-type", b"text/plain"), *headers], body)


def read_request(head: bytes) -> Request:
    """Read a request that an HTTP parser let through, or raise RefusedError."""
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    headers: Headers = []
    for field in fields:
        name, _, value = field.partition(b":")
        headers.append((name.lower(), value.strip(b" \t")))
    if method != b"GET" or version != b"HTTP/1.1":
        raise RefusedError(400, "A websocket begins with GET and HTTP/1.1.")
    # A raw byte beyond ASCII or a blank in the target would not survive the way through ASGI.
    if not target.startswith(b"/") or b" " in target or max(target) > _LAST_TOKEN_BYTE:
        raise RefusedError(400, "The request target is malformed.")
    if b"websocket" not in _tokens(headers, b"upgrade"):
        raise RefusedError(426, "Upgrade to websocket.", [(b"upgrade", b"websocket")])
    if b"upgrade" not in _tokens(headers, b"connection"):
        raise RefusedError(400, "The header Connection: Upgrade is missing.")
    if _values(headers, b"sec-websocket-version") != [_VERSION]:
        raise RefusedError(
            426, "Only websocket version 13 is spoken.", [(b"sec-websocket-version", _VERSION)]
        )
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise RefusedError(400, "Sec-WebSocket-Key must be 16 bytes in base64.")
    offered = b",".join(_values(headers, b"sec-websocket-protocol")).decode("latin-1")
    extensions = b",".join(_values(headers, b"sec-websocket-extensions"))
    return Request(
        target,
        headers,
        keys[0],
        [name for item in offered.split(",") if (name := item.strip())],
        any(_is_deflate(item) for item in extensions.split(b",")),
    )


def accept(
    request: Request,
    subprotocol: str | None = None,
    *,
    deflate: bool = False,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return the answer that turns the connection into a websocket."""
    digest = hashlib.sha1(request.key + _GUID, usedforsecurity=False).digest()
    answer = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", base64.b64encode(digest)),
    ]
    if subprotocol:
        answer.append((b"sec-websocket-protocol", subprotocol.encode()))
    if deflate:
        terms = b"; server_no_context_takeover; client_no_context_takeover"
        answer.append((b"sec-websocket-extensions", _DEFLATE + terms))
    return _head(101, [*answer, *headers])


def respond(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Return a whole HTTP answer, after which the connection ends."""
    ending = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    return _head(status, [*headers, *ending]) + body


def _head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % item for item in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, HTTPStatus(status).phrase.encode(), lines)


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _tokens(headers: Headers, wanted: bytes) -> list[bytes]:
    joined = b",".join(_values(headers, wanted))
    return [token.strip().lower() for token in joined.split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def _is_deflate(offer: bytes) -> bool:
    name, *parameters = (item.strip().lower() for item in offer.split(b";"))
    if name != _DEFLATE:
        return False
    for parameter in parameters:
        key, _, value = parameter.partition(b"=")
        wants_full_window = key == b"server_max_window_bits" and value.strip(b' "') == _WINDOW
        # A smaller window of the server would need frames of its own.
        if key not in _CLIENT_MAY_OFFER and not wants_full_window:
            return False
    return True
