"""An open websocket on a transport: what arrives goes to a listener, what is sent keeps its order.

While the kernel takes everything, frames are written straight to the descriptor and nothing is kept
here. The transport's first refusal makes the socket slow: then frames wait here, in order and
bounded, until the transport is empty again.
"""

import asyncio
from enum import Enum, auto
from typing import Any, Final, Protocol, cast

from core import clock, log
from core.turns import spread
from hub.realtime import metrics
from hub.realtime.sessions import limits
from hub.realtime.websocket import frames
from hub.realtime.websocket.frames import Failure, FrameReader, Message

# How long a peer that does not read, or does not answer a close frame, may keep the socket.
CLOSE_SECONDS: Final = 3.0
_CHUNK_BYTES: Final = 65_536
# One read may bring 40,000 frames, and the loop reads 32 times before anybody else has a turn.
_PIECE_BYTES: Final = 2048
_FRAMES_PER_TURN: Final = 128
# An honest peer sends a ping or pong every few seconds.
_CONTROLS_PER_SECOND: Final = 10
_CONTROLS_BURST: Final = 100

_logger = log.get("realtime.websocket")


class Listener(Protocol):
    """Who is told what a socket's peer does."""

    def on_message(self, message: Message) -> bool:
        """Take a message; False asks for no more before `resume_reading`."""
        ...

    def on_pong(self) -> None:
        """A ping was answered."""
        ...

    def on_overflow(self) -> None:
        """The peer does not read and gets nothing more: close the socket, but not right now."""
        ...

    def on_lost(self) -> None:
        """The socket is gone."""
        ...


class _State(Enum):
    OPEN = auto()
    FULL = auto()
    """Given up: everything that waited was dropped, only a close frame will follow."""
    CLOSING = auto()
    """Our close frame is on its way."""
    ENDED = auto()


class Socket(asyncio.Protocol):
    """One connection of the event loop that speaks websocket once it is `open`."""

    __slots__ = (
        "_close_timer",
        "_controls_empty_at",
        "_is_held",
        "_is_paused",
        "_listener",
        "_max_waiting_bytes",
        "_reader",
        "_state",
        "_unread",
        "_waiting",
        "deflated",
        "descriptor",
        "transport",
        "waiting_bytes",
    )

    def __init__(self) -> None:
        self.descriptor = -1
        self.deflated = False
        self.waiting_bytes = 0
        self.transport = cast("asyncio.Transport", None)  # until connection_made
        self._waiting: list[bytes] | None = None
        """None while the peer keeps up."""
        self._is_paused = False
        self._is_held = False
        """The listener wants no more for now."""
        self._unread: bytes | None = None
        """What has to wait until others had a turn; None while nothing has to."""
        self._controls_empty_at = 0.0
        self._max_waiting_bytes = 0
        self._state = _State.ENDED
        self._reader: FrameReader | None = None
        self._listener: Listener | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    def open(self, listener: Listener, reader: FrameReader, max_waiting_bytes: int) -> None:
        """Begin to read and write frames; the handshake's answer was written already."""
        self._listener = listener
        self._reader = reader
        self._max_waiting_bytes = max_waiting_bytes
        self._state = _State.OPEN
        if self._is_paused or self.transport.get_write_buffer_size():
            self._waiting = []
        else:
            self.descriptor = _descriptor(self.transport)

    def send(self, data: bytes) -> None:
        """Write whole frames, or the rest of some, after all that was sent before."""
        if self._state is not _State.OPEN or self.transport.is_closing():
            return
        waiting = self._waiting
        if waiting is None:
            self.transport.write(data)
        elif waiting and self.waiting_bytes + len(data) > self._max_waiting_bytes:
            self._state = _State.FULL
            self._drop_waiting()
            if self._listener:
                self._listener.on_overflow()
        else:
            waiting.append(data)
            self.waiting_bytes += len(data)

    def ping(self) -> None:
        """Ask the peer for a sign of life; its answer is `on_pong`."""
        self.send(frames.encode(frames.PING, b""))

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame after everything else and wait for the peer's, but not for ever."""
        if self._state not in (_State.OPEN, _State.FULL):
            return
        self.descriptor = -1
        self._state = _State.CLOSING
        if self._reader:
            self._reader.frames = 0
        if self.transport.is_closing():
            return
        frame = frames.encode_close(code, reason)
        if self._waiting:
            self._waiting.append(frame)
        else:
            self.transport.write(frame)
        self._close_timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._give_up)

    def resume_reading(self) -> None:
        """Deliver messages again."""
        self._is_held = False
        if self._unread is not None:
            asyncio.get_running_loop().call_soon(self._read_on)
        elif self._state is not _State.ENDED:
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # What the kernel does not take at once is announced by pause_writing. Under TLS 0 would
        # pause for ever: there a buffer counts as full when it reaches the limit.
        self.transport.set_write_buffer_limits(high=1 if _is_tls(self.transport) else 0, low=0)

    def data_received(self, data: bytes) -> None:
        if self._unread is None:
            self._read(data)
        else:
            self._unread += data

    def eof_received(self) -> bool | None:
        # A peer that stops sending has left: the transport closes after what waits in it.
        if self._reader is None or _is_tls(self.transport):
            self._end()
            return None
        self.descriptor = -1
        spread(self._part)  # thousands may leave at once
        return True

    def pause_writing(self) -> None:
        self._is_paused = True
        self.descriptor = -1
        if self._waiting is None:
            self._waiting = []

    def resume_writing(self) -> None:
        self._is_paused = False
        while self._waiting and not self._is_paused:
            self.transport.write(self._take_chunk())
        if self._is_paused or self._waiting is None:
            return
        self._waiting = None
        if self._state is _State.OPEN:
            self.descriptor = _descriptor(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        # Before the loop closes the descriptor, whose number may then be somebody else's.
        self.descriptor = -1
        self._state = _State.ENDED
        self._drop_waiting()
        self._reader = self._unread = None
        if self._close_timer:
            self._close_timer.cancel()
            self._close_timer = None
        listener, self._listener = self._listener, None
        if listener:
            listener.on_lost()

    def _read(self, data: bytes) -> None:
        """Take what arrived, a turn of it at a time."""
        for start in range(0, len(data), _PIECE_BYTES):
            reader = self._reader
            if reader is None:
                return
            stop = start + _PIECE_BYTES
            for event in reader.feed(data[start:stop]):
                if isinstance(event, Failure):
                    self._fail(event)
                else:
                    self._receive(event)
            if reader.frames >= _FRAMES_PER_TURN and self._state is not _State.ENDED:
                reader.frames = 0
                self.transport.pause_reading()
                if self._state is _State.CLOSING:
                    # No answer to our close frame: the rest stays with the peer until the end.
                    self._is_held = True
                    self._reader = None
                else:
                    self._unread = data[stop:]
                    asyncio.get_running_loop().call_soon(self._read_on)
                return

    def _read_on(self) -> None:
        """Go on after others had a turn."""
        unread = self._unread
        if unread is None or self._is_held:
            return
        self._unread = None
        self._read(unread)
        if self._unread is None and not self._is_held and self._state is not _State.ENDED:
            self.transport.resume_reading()

    def _receive(self, message: Message) -> None:
        match message.opcode:
            case frames.PING:
                if self._counts_control():
                    self.send(frames.encode(frames.PONG, message.payload))
            case frames.PONG:
                if self._counts_control() and self._listener:
                    self._listener.on_pong()
            case frames.CLOSE:
                self._answer_close(message.payload)
            # What comes after our close frame concerns nobody.
            case _ if self._state is _State.OPEN and self._listener:
                if not self._listener.on_message(message):
                    self._is_held = True
                    self.transport.pause_reading()
            case _:
                pass

    def _counts_control(self) -> bool:
        """Count a ping or pong; False when there are so many that nothing else can be meant."""
        self._controls_empty_at, pace = limits.count(
            self._controls_empty_at,
            clock.monotonic_seconds(),
            _CONTROLS_PER_SECOND,
            _CONTROLS_BURST,
        )
        if pace is limits.Pace.FINE:
            return True
        if self._state is _State.OPEN:
            self._fail(Failure(frames.POLICY_VIOLATION, "too many control frames"))
        return False

    def _answer_close(self, payload: bytes) -> None:
        if self._state is _State.CLOSING:
            last = self._waiting[-1:] if self._waiting else []
            self._drop_waiting()  # the peer reads no more of it
            self.transport.writelines(last)
        else:
            self._drop_waiting()
            self.close(*frames.parse_close(payload))
        self._end()

    def _fail(self, failure: Failure) -> None:
        # What is below the protocol's codes; the text of the failure is ours.
        _logger.info("websocket_failed", code=failure.code, reason=failure.reason)
        metrics.OUTGOING_CLOSES.labels(
            transport="websocket", code=metrics.close_label(failure.code)
        ).inc()
        self._drop_waiting()
        self.close(failure.code, failure.reason)
        self._reader = None
        # Ending only our half lets the peer read why, even while it is still sending.
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        else:
            self._end()

    def _take_chunk(self) -> bytes:
        waiting = self._waiting or []
        count = size = 0
        for data in waiting:
            if count and size + len(data) > _CHUNK_BYTES:
                break
            count += 1
            size += len(data)
        chunk = b"".join(waiting[:count])
        del waiting[:count]
        self.waiting_bytes = max(0, self.waiting_bytes - size)
        return chunk

    def _drop_waiting(self) -> None:
        if self._waiting:
            self._waiting.clear()
        self.waiting_bytes = 0

    def _end(self) -> None:
        """Close the transport once it has written what it holds."""
        self.descriptor = -1
        self._drop_waiting()
        self._state = _State.ENDED
        self.transport.close()
        if self._close_timer is None:
            self._close_timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._give_up)

    def _part(self) -> None:
        if self._reader is not None:  # not lost meanwhile
            self._end()

    def _give_up(self) -> None:
        self._close_timer = None
        self.transport.abort()


def _descriptor(transport: asyncio.BaseTransport) -> int:
    """Return the number of a plain socket, -1 where bytes have to pass through the transport."""
    socket: Any = transport.get_extra_info("socket")
    return -1 if socket is None or _is_tls(transport) else socket.fileno()


def _is_tls(transport: asyncio.BaseTransport) -> bool:
    return transport.get_extra_info("ssl_object") is not None
