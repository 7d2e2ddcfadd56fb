"""A connection whose messages leave as the body of an HTTP answer, and never come in by it.

The end of such a transport has no code: what a close frame says on a websocket is a push here.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from hub.realtime import codes
from hub.realtime.carriers import http_exchange
from hub.realtime.carriers.asgi_websocket import Receive, Scope, Send
from hub.realtime.carriers.http_exchange import Headers
from hub.realtime.delivery.outlet import Queue
from hub.realtime.hub import Hub
from hub.realtime.protocol.framing import Framing
from hub.realtime.protocol.messages import DisconnectPush, Push, PushReply

ABORT: Final = "pinghub.abort"
"""Where a scope's extensions may have a function that cuts the socket at once."""
# How long a client that does not read may delay the end of its own stream.
_CLOSE_SECONDS: Final = 3.0
_HEADERS: Final = (
    # nginx would collect what has to leave at once.
    (b"x-accel-buffering", b"no"),
    (b"cache-control", b"private, no-cache, no-store, must-revalidate, max-age=0"),
    (b"pragma", b"no-cache"),
)


class Form(NamedTuple):
    """How one transport writes its body."""

    transport: str
    framing: Framing
    media_type: bytes
    preface: bytes
    """Sent before any message."""
    wrap: Callable[[bytes], bytes]
    """Makes a part of the body from a transport frame."""


async def serve_stream(
    hub: Hub, form: Form, first: bytes, headers: Headers, call: tuple[Scope, Receive, Send]
) -> None:
    """Answer the ASGI call with a connection's messages, from its first commands to its end."""
    scope, receive, send = call
    if hub.turns_away:
        await http_exchange.refuse(send, 503, "service.unavailable", headers)
    extensions: Mapping[str, Callable[[], None]] = scope.get("extensions") or {}
    abort = extensions.get(ABORT)
    stream = _Stream(hub, form, headers, send, scope=scope, abort=abort)
    await stream.run(first, receive)


class _Stream:
    """One connection: a task writes, another waits for the client to go away."""

    def __init__(
        self,
        hub: Hub,
        form: Form,
        headers: Headers,
        send: Send,
        *,
        scope: Scope,
        abort: Callable[[], None] | None,
    ) -> None:
        self._form = form
        self._headers = headers
        self._send = send
        self._abort = abort
        self._something = asyncio.Event()
        self._giving_up: asyncio.TimerHandle | None = None
        self._outlet = Queue(
            form.framing, hub.settings.buffer_max_bytes, self._wake, form.transport
        )
        self._connection = hub.open(
            self._outlet,
            form.framing,
            transport=form.transport,
            headers=scope["headers"],
            emulated=True,
        )
        self._writer = asyncio.create_task(self._write())

    async def run(self, first: bytes, receive: Receive) -> None:
        """Carry messages until either side ends the stream."""
        reader = asyncio.create_task(_gone(receive))
        try:
            self._connection.feed(first)
            await asyncio.wait((reader, self._writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._giving_up:
                self._giving_up.cancel()
            self._connection.lost()
            reader.cancel()
            self._writer.cancel()
            await asyncio.gather(reader, self._writer, return_exceptions=True)

    async def _write(self) -> None:
        content_type = (b"content-type", self._form.media_type)
        headers = [*self._headers, *_HEADERS, content_type]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send_part(self._form.preface)
        while True:
            await self._something.wait()
            self._something.clear()
            while frame := self._outlet.take():
                await self._send_part(self._form.wrap(frame))
            if closing := self._outlet.closing:
                await self._send_part(self._farewell(closing))
                await self._send({"type": "http.response.body", "body": b""})
                return

    async def _send_part(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    def _farewell(self, closing: codes.Disconnect) -> bytes:
        push = Push(disconnect=DisconnectPush(code=closing.code, reason=closing.reason))
        framing = self._form.framing
        return self._form.wrap(framing.join([framing.encode_reply(PushReply(push=push))]))

    def _wake(self) -> None:
        self._something.set()
        if self._outlet.closing and self._giving_up is None:
            loop = asyncio.get_running_loop()
            self._giving_up = loop.call_later(_CLOSE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._abort:
            self._abort()
        else:
            # The server keeps what it was given until the client reads or leaves.
            self._writer.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
