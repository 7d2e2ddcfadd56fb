"""`POST /api/tail`: one channel as it passes, a line of JSON for each publication.

Ours; the original's API has nothing like it. The console's live tail reads it. The last line of a
stream that the hub ends says why: `{"end":{"code":…,"reason":…}}`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from hub.realtime import codes
from hub.realtime.broker import BrokerUnavailableError
from hub.realtime.carriers import http_exchange
from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.carriers.stream import ABORT
from hub.realtime.delivery.joining import JoinRefusedError
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import EMPTY, ClientInfo
from hub.realtime.server_api.keys import Keys

# An empty line says that the channel is quiet and the stream is not broken.
QUIET_SECONDS: Final = 15.0
# How long a reader that does not read may delay the end of its own stream.
_CLOSE_SECONDS: Final = 3.0
_BODY_MAX_BYTES: Final = 4096
_HEADERS: Final = [
    (b"content-type", b"application/x-ndjson"),
    (b"cache-control", b"no-store"),
    # nginx would collect what has to leave at once.
    (b"x-accel-buffering", b"no"),
]
_ALLOW: Final = (b"allow", b"POST")
_EMPTY_LINE: Final = b"\n"


class _Request(msgspec.Struct):
    channel: str


class _Push(msgspec.Struct):
    pub: Raw = EMPTY


class _Message(msgspec.Struct):
    push: _Push


class _End(msgspec.Struct):
    end: codes.Disconnect


_decode: Final = msgspec.json.Decoder(_Message).decode
_encode: Final = msgspec.json.Encoder().encode


class Watcher:
    """A subscriber that is no client: publications become lines, what else happens ends it."""

    framing = JSON
    direct = None

    def __init__(self, max_bytes: int) -> None:
        self.ended = asyncio.Event()
        self._max_bytes = max_bytes
        self._something = asyncio.Event()
        self._lines: list[bytes] = []
        self._waiting_bytes = 0

    def write(self, message: bytes) -> None:
        """Keep a publication as a line, up to a bound: a tail may lose, sockets may not."""
        publication = bytes(_decode(message).push.pub)
        if not publication or self.ended.is_set():
            return
        line = publication + b"\n"
        # A single large one always fits.
        if self._lines and self._waiting_bytes + len(line) > self._max_bytes:
            self.close(codes.CLOSE_SLOW)
        else:
            self._keep(line)

    def lose_state(self, channel: str) -> None:
        """End: something was missed."""
        del channel
        self.close(codes.CLOSE_INSUFFICIENT_STATE)

    def close(self, disconnect: codes.Disconnect) -> None:
        """End after what was written, with the reason as the last line."""
        if not self.ended.is_set():
            self._keep(_encode(_End(disconnect)) + b"\n")
            self.ended.set()

    def info(self, channel: str) -> ClientInfo:
        """Nobody to be seen."""
        del channel
        return ClientInfo(user="", client="")

    async def take(self, quiet_seconds: float) -> bytes:
        """Return the next lines, an empty one when there are none for a while, b"" at the end."""
        if not self._lines and not self.ended.is_set():
            try:
                async with asyncio.timeout(quiet_seconds):
                    await self._something.wait()
            except TimeoutError:
                return _EMPTY_LINE
        self._something.clear()
        taken = b"".join(self._lines)
        self._lines.clear()
        self._waiting_bytes = 0
        return taken

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        self._waiting_bytes += len(line)
        self._something.set()


def tail_endpoint(
    hub: Hub, keys: Sequence[str] | None, *, quiet_seconds: float = QUIET_SECONDS
) -> AsgiApp:
    """Return the application; the keys are those of the server API."""
    known = Keys(keys)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not known.open(scope["headers"]):
                await http_exchange.refuse(send, 401, "auth.required")
            if scope["method"] != "POST":
                await http_exchange.refuse(send, 405, "request.method_not_allowed", [_ALLOW])
            body = await http_exchange.read_body(receive, send, _BODY_MAX_BYTES, [])
            watcher = Watcher(hub.settings.buffer_max_bytes)
            try:
                await _begin(hub, watcher, body, send)
                await _serve(watcher, quiet_seconds, (scope, receive, send))
            finally:
                hub.unwatch(watcher)
        except http_exchange.AnsweredError as answered:
            answered.note("tail")

    return endpoint


async def _begin(hub: Hub, watcher: Watcher, body: bytes, send: Send) -> None:
    """Let the watcher watch, or refuse."""
    try:
        channel = msgspec.json.decode(body, type=_Request).channel
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        await http_exchange.refuse(send, 400, "request.malformed")
    if hub.draining:
        await http_exchange.refuse(send, 503, "service.unavailable")
    try:
        async with asyncio.timeout(hub.settings.command_timeout_seconds):
            await hub.watch(watcher, channel)
    except JoinRefusedError:
        await http_exchange.refuse(send, 404, "request.not_found")
    except (BrokerUnavailableError, TimeoutError):
        await http_exchange.refuse(send, 503, "service.unavailable")


async def _serve(watcher: Watcher, quiet_seconds: float, call: tuple[Scope, Receive, Send]) -> None:
    """Answer with lines until the reader leaves or the watcher ends."""
    scope, receive, send = call
    writer = asyncio.create_task(_write(watcher, quiet_seconds, send))
    gone = asyncio.create_task(_gone(receive))
    ended = asyncio.create_task(watcher.ended.wait())
    try:
        await asyncio.wait((writer, gone, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await asyncio.wait(
                (writer, gone), timeout=_CLOSE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        if not (writer.done() or gone.done()):
            extensions: Mapping[str, Callable[[], Any]] = scope.get("extensions") or {}
            extensions.get(ABORT, writer.cancel)()
    finally:
        for task in (writer, gone, ended):
            task.cancel()
        await asyncio.gather(writer, gone, ended, return_exceptions=True)


async def _write(watcher: Watcher, quiet_seconds: float, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    # The first line makes proxies and browsers see at once that the answer has begun.
    lines = _EMPTY_LINE
    while lines:
        await send({"type": "http.response.body", "body": lines, "more_body": True})
        lines = await watcher.take(quiet_seconds)
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
