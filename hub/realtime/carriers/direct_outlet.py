"""Joins a connection of the hub and a websocket: outlet of the one, listener of the other."""

from typing import Final

from hub.realtime import codes
from hub.realtime.delivery.outlet import Direct, Owner, frame_count
from hub.realtime.figures import TRAFFIC
from hub.realtime.protocol.framing import Framing
from hub.realtime.websocket.frames import Message
from hub.realtime.websocket.prepared import prepare
from hub.realtime.websocket.socket import Socket

_TRAFFIC: Final = TRAFFIC["websocket"]


class DirectOutlet:
    """Keeps nothing: what cannot be sent at once waits in the socket."""

    __slots__ = ("_connection", "_framing", "_socket")

    def __init__(self, socket: Socket, framing: Framing) -> None:
        self._socket = socket
        self._framing = framing
        self._connection: Owner | None = None

    def attach(self, connection: Owner) -> None:
        """See the port."""
        self._connection = connection

    @property
    def waiting_bytes(self) -> int:
        """What the socket holds back."""
        return self._socket.waiting_bytes

    @property
    def direct(self) -> Direct:
        """The socket itself."""
        return self._socket

    def write(self, *messages: bytes) -> None:
        """Send messages in as few frames as the limits of a frame allow."""
        rest = list(messages)
        while rest:
            count = frame_count(rest)
            frame = prepare(self._framing, rest[:count], deflated=self._socket.deflated)
            self._socket.send(frame)
            _TRAFFIC.bytes_sent += len(frame)
            del rest[:count]
        _TRAFFIC.messages_sent += len(messages)

    def ping(self) -> None:
        """Ask by a control frame."""
        self._socket.ping()

    def close(self, disconnect: codes.Disconnect) -> None:
        """Close the socket after everything written."""
        self._socket.close(disconnect.code, disconnect.reason)

    def resume_reading(self) -> None:
        """Take messages again."""
        self._socket.resume_reading()

    def on_message(self, message: Message) -> bool:
        """Hand on a frame; text or binary makes no difference to the original either."""
        return self._connection is None or self._connection.feed(message.payload)

    def on_pong(self) -> None:
        """The protocol's own pongs are messages; this answers `ping`."""
        if self._connection:
            self._connection.ponged()

    def on_overflow(self) -> None:
        """Have the connection closed."""
        if self._connection:
            self._connection.overflow()

    def on_lost(self) -> None:
        """Let go of everything."""
        if self._connection:
            self._connection.lost()
