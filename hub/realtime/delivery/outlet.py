"""Where a connection's messages leave: the port, and the queue of carriers that write by awaiting.

An outlet never blocks and never raises. What a client does not read is bounded: above the bound it
gets nothing more (never a hole) and its connection is told, which closes it with 3008.
"""

from collections.abc import Callable
from typing import Final, Protocol

from hub.realtime import codes
from hub.realtime.figures import TRAFFIC
from hub.realtime.protocol.framing import Framing

MESSAGES_PER_FRAME: Final = 16
_FRAME_BYTES: Final = 65_536


class Direct(Protocol):
    """A socket that takes whole websocket frames at once, without a queue while it keeps up."""

    descriptor: int
    """For os.write while nothing waits; -1 when `send` has to decide."""
    deflated: bool
    """Whether compressed frames were agreed upon."""

    def send(self, data: bytes) -> None:
        """Write frames, or what is left of them, after all that was sent before."""
        ...


class Owner(Protocol):
    """The connection, as far as its carrier knows it."""

    def feed(self, frame: str | bytes) -> bool:
        """Take a frame; False asks for no more before the outlet's `resume_reading`."""
        ...

    def ponged(self) -> None:
        """Be told that the outlet's ping was answered."""
        ...

    def lost(self) -> None:
        """Be told that the transport is gone."""
        ...

    def overflow(self) -> None:
        """Be told, once, that the client does not read and gets nothing more."""
        ...


class Outlet(Protocol):
    """Writes the messages of one connection in order."""

    def attach(self, connection: Owner) -> None:
        """Learn whose messages these are, before anything is written."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """How much the client has yet to take."""
        ...

    @property
    def direct(self) -> Direct | None:
        """The way for frames that are the same for many subscribers, where there is one."""
        ...

    def write(self, *messages: bytes) -> None:
        """Queue or send encoded messages; they may share a transport frame."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life on the transport's own level, where it has one."""
        ...

    def close(self, disconnect: codes.Disconnect) -> None:
        """End the transport after everything written."""
        ...

    def resume_reading(self) -> None:
        """The connection is ready for more, after `Connection.feed` returned False."""
        ...


def frame_count(messages: list[bytes]) -> int:
    """Return how many messages from the front go into one transport frame; at least one."""
    count = size = 0
    for message in messages[:MESSAGES_PER_FRAME]:
        if count and size + len(message) > _FRAME_BYTES:
            break
        count += 1
        size += len(message)
    return count


class Queue:
    """What waits for a carrier that is woken, takes frame by frame and awaits each write."""

    direct = None

    def __init__(
        self,
        framing: Framing,
        max_bytes: int,
        wake: Callable[[], None],
        transport: str = "websocket",
    ) -> None:
        self.closing: codes.Disconnect | None = None
        """Set when the transport is to end once `take` returns None."""
        self.waiting_bytes = 0
        self._connection: Owner | None = None
        self._framing = framing
        self._max_bytes = max_bytes
        self._wake = wake
        self._traffic = TRAFFIC[transport]
        self._waiting: list[bytes] = []
        self._full = False

    def attach(self, connection: Owner) -> None:
        """See the port."""
        self._connection = connection

    def write(self, *messages: bytes) -> None:
        """Queue messages, or give the client up when too much waits."""
        if self.closing or self._full:
            return
        size = self.waiting_bytes + sum(map(len, messages))
        # A single large answer always fits: refusing it would repeat for ever.
        if size > self._max_bytes and self._waiting:
            self._full = True
            self._waiting.clear()
            self.waiting_bytes = 0
            if self._connection:
                self._connection.overflow()
            return
        self._waiting += messages
        self.waiting_bytes = size
        self._wake()

    def ping(self) -> None:
        """Nothing: whatever is below it pings on its own account."""

    def close(self, disconnect: codes.Disconnect) -> None:
        """Take no more; what waits may still be taken."""
        self.closing = disconnect
        self._wake()

    def take(self) -> bytes | None:
        """Return the next transport frame, or None when nothing waits."""
        if not self._waiting:
            return None
        count = frame_count(self._waiting)
        frame = self._framing.join(self._waiting[:count])
        self.waiting_bytes -= sum(map(len, self._waiting[:count]))
        del self._waiting[:count]
        self._traffic.messages_sent += count
        self._traffic.bytes_sent += len(frame)
        return frame

    def resume_reading(self) -> None:
        """Nothing: its carrier awaits `Connection.receive`."""
