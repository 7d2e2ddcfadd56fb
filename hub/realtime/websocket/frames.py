"""Websocket frames as a server sends and receives them, without I/O (RFC 6455).

A reader between messages holds nothing but its limits: most connections are idle most of the time.
"""

import codecs
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from hub.realtime.websocket.deflate import deflate

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover  # where its C extension was not built
    from websockets.utils import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NO_STATUS: Final = 1005
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009

# Honest clients fragment by tens of bytes at worst; one-byte fragments cost 30 times their size.
MAX_FRAGMENTS: Final = 1024
_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV2_OR_RSV3: Final = 0x30
_MASKED: Final = 0x80
_CONTROL: Final = 0x8
_CONTROL_MAX_BYTES: Final = 125
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_CLOSE_REASON_MAX_BYTES: Final = 123
_MAX_16: Final = 0xFFFF
# Those that may be sent (IANA's registry), and the range of libraries and applications.
_CLOSE_CODES: Final = frozenset(
    (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
)
_FIRST_FREE: Final = 3000
_LAST_FREE: Final = 4999
_SHORT_HEAD_BYTES: Final = 6  # with a mask
_TEXT_ALONE: Final = _FIN | TEXT
_WHOLE: Final = frozenset((_FIN | TEXT, _FIN | BINARY))
_KNOWN: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

_HEAD: Final = struct.Struct("!BB")
_HEAD_16: Final = struct.Struct("!BBH")
_HEAD_64: Final = struct.Struct("!BBQ")

Inflate = Callable[[bytes, int], bytes | None]
"""`deflate.inflate`, where the client may compress."""


class Message(NamedTuple):
    """A whole message (TEXT, BINARY) or control frame (CLOSE, PING, PONG) of the peer."""

    opcode: int
    payload: bytes


class Failure(NamedTuple):
    """The peer broke the protocol: close with this code, read nothing more."""

    code: int
    reason: str


class _Frame:
    """A frame whose payload is still arriving."""

    __slots__ = ("fin", "mask", "missing_bytes", "opcode", "parts")

    def __init__(self, opcode: int, fin: bool, mask: bytes, length: int) -> None:
        self.opcode = opcode
        self.fin = fin
        self.mask = mask
        self.missing_bytes = length
        self.parts: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        """Unmask the next piece of payload."""
        piece = apply_mask(data, self.mask)
        turn = len(data) % 4
        self.mask = self.mask[turn:] + self.mask[:turn]
        self.missing_bytes -= len(data)
        return piece


class _Partial:
    """A message of which not every frame has arrived."""

    __slots__ = ("compressed", "decoder", "fragments", "opcode", "parts", "size_bytes")

    def __init__(self, opcode: int, compressed: bool) -> None:
        self.opcode = opcode
        self.compressed = compressed
        self.fragments = 0
        self.size_bytes = 0
        self.parts: list[bytes] = []
        self.decoder = (
            codecs.getincrementaldecoder("utf-8")() if opcode == TEXT and not compressed else None
        )


class FrameReader:
    """Cuts a client's bytes into messages; after a failure or a close frame it reads nothing."""

    __slots__ = ("_ended", "_frame", "_inflate", "_max_bytes", "_partial", "_rest", "frames")

    def __init__(self, max_message_bytes: int, inflate: Inflate | None = None) -> None:
        self.frames = 0
        """How many were read; whoever shares time between readers sets it back."""
        self._max_bytes = max_message_bytes
        self._inflate = inflate
        self._rest = b""  # of a frame's head
        self._frame: _Frame | None = None
        self._partial: _Partial | None = None
        self._ended = False

    def feed(self, data: bytes) -> list[Message | Failure]:
        """Take what arrived; return what it completes, in order."""
        if (message := self._read_alone(data)) is not None:
            return [message]
        events: list[Message | Failure] = []
        if self._rest:
            data = self._rest + data
            self._rest = b""
        position, end = 0, len(data)
        try:
            while not self._ended:
                frame = self._frame
                if frame is None:
                    frame, start = self._read_head(data, position, end)
                    if frame is None:
                        self._rest = data[position:]
                        break
                    position = start
                stop = min(position + frame.missing_bytes, end)
                self._read_payload(frame, data[position:stop])
                position = stop
                if frame.missing_bytes:
                    self._frame = frame
                    break
                self._frame = None
                if message := self._finish(frame):
                    events.append(message)
        except _Broken as broken:
            self._ended = True
            self._rest, self._frame, self._partial = b"", None, None
            events.append(broken.failure)
        return events

    def _read_alone(self, data: bytes) -> Message | None:
        """Return the message that is all that arrived, as most are: short, in one frame."""
        length = len(data) - _SHORT_HEAD_BYTES
        if (
            not 0 <= length < _LENGTH_16
            or data[1] != _MASKED | length
            or data[0] not in _WHOLE
            or length > self._max_bytes
            or self._rest
            or self._frame
            or self._partial
            or self._ended
        ):
            return None
        payload = apply_mask(data[_SHORT_HEAD_BYTES:], data[2:_SHORT_HEAD_BYTES])
        opcode = data[0] & 0x0F
        if opcode == TEXT and not payload.isascii():
            return None  # its characters are checked where all others are
        self.frames += 1
        return Message(opcode, payload)

    def _read_head(self, data: bytes, position: int, end: int) -> tuple[_Frame | None, int]:
        """Return the frame that begins at `position` and where its payload does."""
        if end - position < 2:  # noqa: PLR2004  # the two bytes every frame begins with
            return None, 0
        first, second = data[position], data[position + 1]
        opcode, fin = first & 0x0F, bool(first & _FIN)
        self._check_head(first, opcode, fin)
        if not second & _MASKED:
            raise _Broken(PROTOCOL_ERROR, "frame is not masked")
        length = second & ~_MASKED
        if opcode & _CONTROL and length > _CONTROL_MAX_BYTES:
            raise _Broken(PROTOCOL_ERROR, "control frame too long")
        start = position + 2
        if length >= _LENGTH_16:
            size = 2 if length == _LENGTH_16 else 8
            if end < start + size:
                return None, 0
            length = int.from_bytes(data[start : start + size])
            start += size
            if length >> 63:
                raise _Broken(PROTOCOL_ERROR, "length is negative")
        # Before any of it is kept.
        self._check_size(opcode, length)
        if end < start + 4:
            return None, 0
        self._begin(opcode, bool(first & _RSV1))
        return _Frame(opcode, fin, data[start : start + 4], length), start + 4

    def _check_head(self, first: int, opcode: int, fin: bool) -> None:
        is_control = bool(opcode & _CONTROL)
        if first & _RSV2_OR_RSV3 or (
            first & _RSV1 and (self._inflate is None or is_control or opcode == CONTINUATION)
        ):
            raise _Broken(PROTOCOL_ERROR, "reserved bits")
        if opcode not in _KNOWN:
            raise _Broken(PROTOCOL_ERROR, "unknown opcode")
        if is_control:
            if not fin:
                raise _Broken(PROTOCOL_ERROR, "fragmented control frame")
        elif (opcode == CONTINUATION) != (self._partial is not None):
            raise _Broken(PROTOCOL_ERROR, "unexpected continuation or new message")

    def _check_size(self, opcode: int, length: int) -> None:
        if opcode & _CONTROL:
            return
        partial = self._partial
        if length + (partial.size_bytes if partial else 0) > self._max_bytes:
            raise _Broken(TOO_BIG, "message too big")
        if partial and partial.fragments >= MAX_FRAGMENTS:
            raise _Broken(TOO_BIG, "too many fragments")

    def _begin(self, opcode: int, compressed: bool) -> None:
        if opcode in (TEXT, BINARY):
            self._partial = _Partial(opcode, compressed)

    def _read_payload(self, frame: _Frame, data: bytes) -> None:
        piece = frame.take(data)
        if frame.opcode & _CONTROL:
            frame.parts.append(piece)
            return
        partial = self._partial
        if partial is None:  # pragma: no cover  # the head was checked against it
            raise _Broken(PROTOCOL_ERROR, "no message")
        partial.parts.append(piece)
        partial.size_bytes += len(piece)
        if partial.decoder:
            try:
                partial.decoder.decode(piece, final=frame.fin and not frame.missing_bytes)
            except UnicodeDecodeError:
                raise _Broken(INVALID_DATA, "invalid UTF-8") from None

    def _finish(self, frame: _Frame) -> Message | None:
        """A frame is complete: return what it completes."""
        self.frames += 1
        if frame.opcode & _CONTROL:
            payload = b"".join(frame.parts)
            if frame.opcode == CLOSE:
                _check_close(payload)
                self._ended = True
                self._rest, self._partial = b"", None
            return Message(frame.opcode, payload)
        partial = self._partial
        if partial is None:  # pragma: no cover  # as above
            return None
        partial.fragments += 1
        if not frame.fin:
            return None
        self._partial = None
        payload = partial.parts[0] if len(partial.parts) == 1 else b"".join(partial.parts)
        if partial.compressed and self._inflate:
            payload = self._unpack(payload, partial.opcode, self._inflate)
        return Message(partial.opcode, payload)

    def _unpack(self, payload: bytes, opcode: int, inflate: Inflate) -> bytes:
        try:
            unpacked = inflate(payload, self._max_bytes)
        except ValueError:
            raise _Broken(INVALID_DATA, "broken compression") from None
        if unpacked is None:
            raise _Broken(TOO_BIG, "message too big")
        if opcode == TEXT:
            try:
                unpacked.decode()
            except UnicodeDecodeError:
                raise _Broken(INVALID_DATA, "invalid UTF-8") from None
        return unpacked


def encode(opcode: int, payload: bytes) -> bytes:
    """Return one whole unmasked frame."""
    return _head(_FIN | opcode, len(payload)) + payload


def encode_text(payload: bytes) -> bytes:
    """Return what `encode` makes of a text, in as few steps as Python allows."""
    length = len(payload)
    if _LENGTH_16 <= length <= _MAX_16:
        return _HEAD_16.pack(_TEXT_ALONE, _LENGTH_16, length) + payload
    return encode(TEXT, payload)


def encode_deflated(opcode: int, payload: bytes) -> bytes:
    """Return a frame compressed by itself (RFC 7692), or a plain one if that is shorter."""
    packed = deflate(payload)
    if len(packed) >= len(payload):
        return encode(opcode, payload)
    return _head(_FIN | _RSV1 | opcode, len(packed)) + packed


def encode_close(code: int, reason: str = "") -> bytes:
    """Return a close frame; NO_STATUS sends neither code nor reason, a long reason is cut."""
    if code == NO_STATUS:
        return encode(CLOSE, b"")
    text = reason.encode()[:_CLOSE_REASON_MAX_BYTES].decode(errors="ignore").encode()
    return encode(CLOSE, code.to_bytes(2) + text)


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame that the reader let through."""
    return (int.from_bytes(payload[:2]), payload[2:].decode()) if payload else (NO_STATUS, "")


def _head(first: int, length: int) -> bytes:
    if length < _LENGTH_16:
        return _HEAD.pack(first, length)
    if length <= _MAX_16:
        return _HEAD_16.pack(first, _LENGTH_16, length)
    return _HEAD_64.pack(first, _LENGTH_64, length)


def _check_close(payload: bytes) -> None:
    if not payload:
        return
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise _Broken(INVALID_DATA, "invalid UTF-8") from None
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (code in _CLOSE_CODES or _FIRST_FREE <= code <= _LAST_FREE):
        raise _Broken(PROTOCOL_ERROR, "invalid close code")


class _Broken(Exception):  # noqa: N818  # never leaves this module
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.failure = Failure(code, reason)
