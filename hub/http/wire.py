"""The HTTP side of uvicorn with bounds that its parser lacks: a head of bytes and of seconds."""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core import log
from core.turns import spread

HEAD_MAX_BYTES: Final = 65_536
HEAD_SECONDS: Final = 10.0
# What surrounds a chunked body of single bytes; no honest client comes near.
_FRAMING_MAX_FACTOR: Final = 8

_logger = log.get("http.wire")


class BoundedHttp(HttpToolsProtocol):
    """Ends connections whose request head is too long or takes too long."""

    head_seconds = HEAD_SECONDS
    message_max_bytes = HEAD_MAX_BYTES

    _in_head = True
    _received_bytes = 0
    _first: bytes | None = b""
    """The first that arrived, until its turn has come; None after that."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as uvicorn's own
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._first is None:
            self._take(data)
        elif self._first:
            self._first += data
            self.flow.pause_reading()
        else:
            self._first = data
            # Thousands may come back at once: what is published meanwhile goes between them.
            spread(self._begin)

    def _begin(self) -> None:
        first, self._first = self._first, None
        if first and self.parser is not None:  # the peer is still there
            self.flow.resume_reading()
            self._take(first)

    def _take(self, data: bytes) -> None:
        self._received_bytes += len(data)
        super().data_received(data)
        limit = HEAD_MAX_BYTES if self._in_head else self.message_max_bytes
        if self._received_bytes > limit and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # For an endless answer to a client that has stopped reading it.
        scope = cast("dict[str, Any]", self.scope)
        scope["extensions"] = {"pinghub.abort": self.transport.abort}
        self._received_bytes = 0
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Nobody asked for fields after the body, and they would join those before it.
        if self._in_head:
            super().on_header(name, value)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # It and its parser hold each other: thousands of upgraded ones would pile up as garbage.
        self.parser = cast("Any", None)

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._in_head = True
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _head_is_here(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        _logger.info("request_refused", status=int(status[:3]))
        # The answer to an earlier request must not get this in its middle.
        cycle = cast("Any", self.cycle)
        if cycle is None or cycle.response_complete:
            head = b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head % status)
        self.transport.close()


def bounded(max_body_bytes: int, head_seconds: float = HEAD_SECONDS) -> type[BoundedHttp]:
    """Return the protocol class for a server that takes bodies up to `max_body_bytes`.

    The application refuses larger bodies itself; here ends what never becomes a request.
    """
    message_max_bytes = HEAD_MAX_BYTES + max_body_bytes * _FRAMING_MAX_FACTOR
    bounds = {"message_max_bytes": message_max_bytes, "head_seconds": head_seconds}
    return type("BoundedHttp", (BoundedHttp,), bounds)
