"""The ASGI application under `/api`: who may come in, how large a body may be, how answers look."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

import msgspec

from hub.realtime import codes, doors
from hub.realtime.operations import Engine
from hub.realtime.server_api import calls
from hub.realtime.server_api.calls import MalformedBodyError
from hub.realtime.server_api.keys import Keys
from hub.realtime.server_api.methods import METHODS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

NAMES: Final = ("batch", *METHODS)
"""What may follow `/api/`."""
_ERROR_STATUSES: Final = {
    codes.INTERNAL.code: 500,
    codes.UNKNOWN_CHANNEL.code: 404,
    codes.METHOD_NOT_FOUND.code: 404,
    codes.BAD_REQUEST.code: 400,
    codes.NOT_AVAILABLE.code: 400,
    codes.UNRECOVERABLE_POSITION.code: 416,
}

_encode = msgspec.json.Encoder().encode


class _RefusedError(Exception):
    """The request is answered by a status alone."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def server_api_endpoint(engine: Engine, keys: Sequence[str] | None, max_body_bytes: int) -> AsgiApp:
    """Return the application of `POST /api` and `POST /api/{method}`.

    Whoever holds one of the keys may do everything; see Keys.
    """
    known = Keys(keys)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"this application answers http, not {scope['type']}")
        headers: dict[bytes, bytes] = {name.lower(): value for name, value in scope["headers"]}
        method = _method(scope)
        try:
            if not known.open(scope["headers"]):
                raise _RefusedError(401, "auth.required")  # noqa: TRY301  # refusals leave one way
            if method not in ("", *NAMES):
                raise _RefusedError(404, "request.not_found")  # noqa: TRY301
            if scope["method"] != "POST":
                raise _RefusedError(405, "request.method_not_allowed")  # noqa: TRY301
            body = await _read(receive, headers, max_body_bytes)
            status, answer = await _answer(engine, method, body, headers)
        except MalformedBodyError:
            await _refuse(send, 400, "request.malformed")
        except _RefusedError as refusal:
            await _refuse(send, refusal.status, refusal.code)
        else:
            await _send(send, status, [(b"content-type", b"application/json")], answer)

    return endpoint


async def _answer(
    engine: Engine, method: str, body: bytes, headers: dict[bytes, bytes]
) -> tuple[int, bytes]:
    if method == "":
        return 200, b"\n".join(_encode(reply) for reply in await calls.old_commands(engine, body))
    if method == "batch":
        return 200, _encode(await calls.batch(engine, body))
    response = await calls.call(engine, method, body)
    if response.error and headers.get(b"x-centrifugo-error-mode") == b"transport":
        return _ERROR_STATUSES.get(response.error.code, 500), _encode(response.error)
    return 200, _encode(response)


def _method(scope: Scope) -> str:
    """Return what follows `/api/`; "" for `/api` itself."""
    return scope["path"].rstrip("/").removeprefix("/api").removeprefix("/")


async def _read(receive: Receive, headers: dict[bytes, bytes], max_bytes: int) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes:
        raise _RefusedError(413, "request.too_large")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400, "request.malformed")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise _RefusedError(413, "request.too_large")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _refuse(send: Send, status: int, code: str) -> None:
    doors.note_refusal("api", status, code)
    headers = [(b"content-type", b"application/problem+json")]
    if status == 405:  # noqa: PLR2004  # HTTP's own number
        headers.append((b"allow", b"POST"))
    await _send(send, status, headers, _encode({"status": status, "code": code}))


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
