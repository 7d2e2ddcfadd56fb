"""An echo on the socket layer that clients use, so that conformance suites can judge it.

Development only: `pinghub realtime --echo` serves it at `/autobahn`.
"""

from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.carriers.fast_websocket import FastWebSocket, detachable
from hub.realtime.websocket import frames
from hub.realtime.websocket.frames import Message


def echo_endpoint(*, max_message_bytes: int, max_waiting_bytes: int) -> AsgiApp:
    """Return an ASGI application that sends every message back as it came."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        socket = detachable(scope)
        if socket is None:
            await _serve(receive, send)
        else:
            socket.detach(
                _Echo(socket),
                max_message_bytes=max_message_bytes,
                max_waiting_bytes=max_waiting_bytes,
                may_deflate=True,
            )

    return endpoint


class _Echo:
    """The listener of one socket."""

    def __init__(self, socket: FastWebSocket) -> None:
        self._socket = socket

    def on_message(self, message: Message) -> bool:
        encode = frames.encode_deflated if self._socket.deflated else frames.encode
        self._socket.send(encode(message.opcode, message.payload))
        return True

    def on_pong(self) -> None:
        """Nothing was asked."""

    def on_overflow(self) -> None:
        self._socket.transport.abort()

    def on_lost(self) -> None:
        """Nothing is kept."""


async def _serve(receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
