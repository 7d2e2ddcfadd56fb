"""Virtual tags as a reader meets them: NTAG 424 DNA, which takes APDUs, and NTAG21x, which READ.

Each presentation to a reader is a session that begins with `power_up`.
"""

from collections.abc import Callable
from typing import Final, Protocol

from firmware_bridge import nfc_tag, static_tag
from firmware_bridge.nfc_tag import TagKind

ATR: Final = bytes.fromhex("3B8180018080")
"""Of an ISO 14443-4 tag without historical bytes (PC/SC part 3)."""

_OK: Final = b"\x90\x00"
_NOT_FOUND: Final = b"\x6a\x82"
_NOT_ALLOWED: Final = b"\x69\x86"
_WRONG_OFFSET: Final = b"\x6b\x00"
_UNKNOWN: Final = b"\x6d\x00"
_APPLICATION: Final = bytes.fromhex("D2760000850101")
_CAPABILITY_FILE: Final = bytes.fromhex("E103")
_NDEF_FILE: Final = bytes.fromhex("E104")
# NT4H2421Gx, 8.2.3.2: MLe 256, MLc 255, NDEF file E104 of 256 bytes, then the proprietary file.
_CAPABILITIES: Final = bytes.fromhex(
    "0017200100 00FF 0406E104010000 00 0506E10500808283000000000000"
)
_HEADER_BYTES: Final = 4
_PAGE_BYTES: Final = 4
_PAGES_AT_ONCE: Final = 4


class Chip(Protocol):
    """What is held up to a reader."""

    @property
    def kind(self) -> TagKind: ...
    @property
    def uid(self) -> bytes: ...

    def power_up(self) -> None: ...

    def answer(self, command: bytes) -> bytes: ...


class Type4Chip:
    """A tag whose address is another one at each session, as SUN has it."""

    kind: TagKind = "type4"

    def __init__(self, uid: bytes, next_url: Callable[[], str]) -> None:
        self.uid = uid
        self._next_url = next_url
        self.power_up()

    def power_up(self) -> None:
        self._is_selected = False
        self._file = b""
        self._ndef = b""

    def answer(self, command: bytes) -> bytes:
        """Return the answer to an APDU: data and status."""
        header = command[:_HEADER_BYTES]
        if command == nfc_tag.GET_UID:
            return self.uid + _OK
        match header[1:2]:
            case b"\xa4":
                return self._select(header, command[5:][: command[4]] if len(command) > 4 else b"")  # noqa: PLR2004  # Lc
            case b"\xb0":
                return self._read(int.from_bytes(header[2:], "big"), command[-1] or 256)
            case _:
                return _UNKNOWN

    def _select(self, header: bytes, name: bytes) -> bytes:
        if header[2] == 4:  # noqa: PLR2004  # P1: by name of the application
            self._is_selected = name == _APPLICATION
            self._file = b""
            return _OK if self._is_selected else _NOT_FOUND
        if not self._is_selected or name not in (_CAPABILITY_FILE, _NDEF_FILE):
            return _NOT_FOUND
        self._file = name
        return _OK

    def _read(self, offset: int, size: int) -> bytes:
        if not self._file:
            return _NOT_ALLOWED
        content = _CAPABILITIES if self._file == _CAPABILITY_FILE else self._ndef_file()
        if offset >= len(content):
            return _WRONG_OFFSET
        return content[offset : offset + size] + _OK

    def _ndef_file(self) -> bytes:
        # Counts at the first read of a session, not before.
        if not self._ndef:
            message = static_tag.build_message(self._next_url())
            self._ndef = (len(message).to_bytes(2, "big") + message).ljust(256, b"\0")
        return self._ndef


class Type2Chip:
    """A tag that shows the same to everybody; `memory` is its user memory, from page 4 on."""

    kind: TagKind = "type2"

    def __init__(self, uid: bytes, memory: bytes) -> None:
        size = -(-len(memory) // 8) * 8
        head = bytes(8) + bytes(4) + bytes((0xE1, 0x10, size // 8, 0x00))
        self.uid = uid
        self._pages = head + memory.ljust(size, b"\0")

    def power_up(self) -> None:
        pass

    def answer(self, command: bytes) -> bytes:
        """Return four pages, or nothing for what is no READ of this memory."""
        if len(command) != 2 or command[0] != nfc_tag.READ_PAGES:  # noqa: PLR2004  # code and page
            return b""
        at = command[1] * _PAGE_BYTES
        if at >= len(self._pages):
            return b""
        # Reading beyond the end begins anew at the start.
        return (self._pages[at:] + self._pages)[: _PAGES_AT_ONCE * _PAGE_BYTES]
