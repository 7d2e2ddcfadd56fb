"""The PN532 reader chip as a serial adapter speaks to it (UM0701-02): frames and a few commands.

Host to chip: 00 00 FF LEN LCS D4 command data DCS 00; chip to host the same with D5. Each command
is confirmed by an ACK frame before its response. Extended frames (LEN FF FF, two length bytes)
carry more than 255 bytes. Sans-I/O: bytes in, frames out.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from firmware_bridge.nfc_tag import TagKind

Frame: TypeAlias = Literal["ack", "nack", "error"] | bytes
"""A response is its code and data, as 4B 01 …"""

WAKE_UP: Final = b"\x55\x55" + bytes(14)
"""Long enough for the chip's oscillator to start (UM0701-02 7.2.11)."""
ACK: Final = bytes.fromhex("0000FF00FF00")
FIRMWARE: Final = 0x02
SAM_CONFIGURATION: Final = 0x14
RF_CONFIGURATION: Final = 0x32
LIST_TARGET: Final = 0x4A
EXCHANGE: Final = 0x40
RELEASE: Final = 0x52
START: Final = bytes.fromhex("14011400")
"""SAMConfiguration: normal mode, no time-out of a SAM, no IRQ."""
FEW_RETRIES: Final = bytes.fromhex("3205FF0110")
"""RFConfiguration: look for a tag 17 times, then answer that there is none."""
POLL: Final = bytes.fromhex("4A0100")
"""InListPassiveTarget: one tag of ISO 14443 type A, at 106 kbit/s."""
PRESENCE: Final = bytes.fromhex("0006")
"""Diagnose: is the selected tag of ISO 14443-4 still there?"""
PRESENT: Final = b"\x00"
DATA_BYTES_MAX: Final = 263

_FROM_HOST, _FROM_CHIP = 0xD4, 0xD5
_PREAMBLE: Final = b"\x00\xff"
_EXTENDED: Final = b"\xff\xff"
_SHORT_FRAMES: Final[dict[bytes, Frame]] = {b"\x00\xff": "ack", b"\xff\x00": "nack"}
_ERROR_FRAME: Final = 0x7F
_ISO_14443_4: Final = 0x20
_OK_STATUS: Final = 0x00
_STATUS_MASK: Final = 0x3F
_UID_BYTES: Final = (4, 7, 10)


class Pn532Error(Exception):
    """The chip answers what it must not, or says that the tag did not answer."""


class Target(msgspec.Struct, frozen=True):
    """A tag in the field."""

    number: int
    kind: TagKind
    uid: bytes


def command(content: bytes) -> bytes:
    """Return the frame of a command: its code and data."""
    data = bytes((_FROM_HOST,)) + content
    if len(data) > DATA_BYTES_MAX:
        raise ValueError("more than fits a frame")
    size = len(data)
    if size < 0x100:  # noqa: PLR2004  # one byte
        length = bytes((size, -size & 0xFF))
    else:
        two = size.to_bytes(2, "big")
        length = _EXTENDED + two + bytes((-sum(two) & 0xFF,))
    return b"\x00" + _PREAMBLE + length + data + bytes((-sum(data) & 0xFF, 0))


class Frames:
    """Finds frames in what comes from the line; what is none is skipped and counted."""

    def __init__(self) -> None:
        self._buffer = b""
        self.damaged = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes of the line; return the frames that are complete now."""
        self._buffer += data
        found: list[Frame] = []
        while True:
            at = self._buffer.find(_PREAMBLE)
            if at < 0:
                # The last byte may be the first of a preamble.
                self._buffer = self._buffer[-1:]
                return found
            self._buffer = self._buffer[at:]
            frame, used = _first_frame(self._buffer[len(_PREAMBLE) :])
            if not used:
                return found
            if frame is None:
                self.damaged += 1
                used = 0  # the preamble only: a frame may begin inside of what looked like one
            else:
                found.append(frame)
            self._buffer = self._buffer[len(_PREAMBLE) + used :]


def response(frame: bytes, to: int) -> bytes:
    """Return the data of the response to a command, or raise Pn532Error."""
    if frame[:1] != bytes((to + 1,)):
        raise Pn532Error("an answer to another command")
    return frame[1:]


def read_target(data: bytes) -> Target | None:
    """Return the tag that InListPassiveTarget found, or None."""
    if not data:
        raise Pn532Error("an empty answer")
    if not data[0]:
        return None
    if len(data) < 6:  # noqa: PLR2004  # count, number, SENS_RES, SEL_RES, length
        raise Pn532Error("a short answer")
    kind: TagKind = "type4" if data[4] & _ISO_14443_4 else "type2"
    uid = data[6 : 6 + data[5]]
    if len(uid) != data[5] or len(uid) not in _UID_BYTES:
        raise Pn532Error("a UID of no known length")
    return Target(number=data[1], kind=kind, uid=uid)


def exchange(target: Target, content: bytes) -> bytes:
    """Return the command that sends something to a tag."""
    return bytes((EXCHANGE, target.number)) + content


def read_exchange(data: bytes) -> bytes:
    """Return what a tag answered, or raise Pn532Error."""
    if not data or data[0] & _STATUS_MASK != _OK_STATUS:
        raise Pn532Error("the tag does not answer")
    return data[1:]


def release(target: Target) -> bytes:
    """Return the command that lets a tag go, so that the next poll finds it anew."""
    return bytes((RELEASE, target.number))


def _first_frame(data: bytes) -> tuple[Frame | None, int]:
    """Return the frame behind a preamble (None: damaged) and its size; size 0: not complete yet."""
    if data[:2] in _SHORT_FRAMES:
        return _SHORT_FRAMES[data[:2]], 2
    header = _header(data)
    if header is None:
        return None, 0
    size, head = header
    total = head + size + 1
    if not size:
        return None, total
    if len(data) < total:
        return None, 0
    return _content(data[head:total]), total


def _header(data: bytes) -> tuple[int, int] | None:
    """Return the sizes of content and header, None when not complete; size 0: damaged."""
    is_extended = data[:2] == _EXTENDED
    head = 5 if is_extended else 2
    if len(data) < head:
        return None
    size = int.from_bytes(data[2:4], "big") if is_extended else data[0]
    is_sound = not sum(data[2:5] if is_extended else data[:2]) & 0xFF
    return (size if is_sound and size <= DATA_BYTES_MAX else 0), head


def _content(part: bytes) -> Frame | None:
    """Return what a frame carries, from its direction to its checksum."""
    if sum(part) & 0xFF:
        return None
    body = part[:-1]
    if body == bytes((_ERROR_FRAME,)):
        return "error"
    has_code = len(body) > 1
    return body[1:] if has_code and body[0] == _FROM_CHIP else None
