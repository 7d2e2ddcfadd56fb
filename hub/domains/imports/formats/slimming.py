"""What of a file is kept: pictures of cards, bodies of mail and pictures of messages are not.

Sans-I/O: a slimmer takes a file piece by piece as it comes in, and returns what stays of it. So a
mailbox of 200 MB takes no more room than its heads.
"""

import codecs
import re
from typing import Final, Protocol

from hub.domains.imports.formats.found import Format


class Slimmer(Protocol):
    """Takes the pieces of one file in their order."""

    def feed(self, piece: bytes) -> bytes:
        """Return what stays, as far as it can be told yet."""
        ...

    def end(self) -> bytes:
        """Return what stays of the last piece."""
        ...


def slimmer_of(file_format: Format, head: bytes) -> Slimmer:
    """Return what slims a file that begins so; wide encodings are left as they are."""
    if b"\0" in head or head[:2] in {codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE}:
        return _Whole()
    match file_format:
        case "mail":
            return _MailHeads()
        case "vcard" | "calendar":
            return _LinesWithoutPictures()
        case "calls_xml":
            return _MessagesWithoutParts()
        case _:
            return _Whole()


_HEAD_END: Final = re.compile(rb"\n\r?\n")
_SEPARATOR: Final = b"\nFrom "
# Names of properties are at the beginning of a line, which need not be here as a whole.
_DECIDED_BYTES: Final = 64
_PICTURE: Final = re.compile(
    rb"(?:[A-Za-z0-9-]+\.)?(?:PHOTO|LOGO|SOUND|KEY|ATTACH)[;:]", re.IGNORECASE
)
_PART: Final = b' data="'


class _Whole:
    """Keeps all of a file."""

    def feed(self, piece: bytes) -> bytes:
        return piece

    def end(self) -> bytes:
        return b""


class _MailHeads:
    """Keeps the heads of a mailbox, and of a message's body what could be the next one's head."""

    def __init__(self) -> None:
        self._rest: bytes = b""
        self._in_head = True

    def feed(self, piece: bytes) -> bytes:
        data = self._rest + piece
        kept: list[bytes] = []
        at = 0
        while True:
            if self._in_head:
                end = _HEAD_END.search(data, at)
                if end is None:
                    self._rest = data[max(at, len(data) - 2) :]
                    kept.append(data[at : len(data) - len(self._rest)])
                    break
                kept.append(data[at : end.end()])
                at = end.end() - 1
            else:
                found = data.find(_SEPARATOR, at)
                if found < 0:
                    self._rest = data[max(at, len(data) - len(_SEPARATOR) + 1) :]
                    break
                at = found + 1
            self._in_head = not self._in_head
        return b"".join(kept)

    def end(self) -> bytes:
        return self._rest if self._in_head else b""


class _LinesWithoutPictures:
    """Keeps all content lines but those of pictures, sounds and keys, with what continues them."""

    def __init__(self) -> None:
        self._rest: bytes = b""
        self._is_left_out = False
        self._is_within = False

    def feed(self, piece: bytes) -> bytes:
        kept: list[bytes] = []
        pieces = (self._rest + piece).split(b"\n")
        last = pieces.pop()
        for line in pieces:
            self._take(line + b"\n", kept)
            self._is_within = False
        self._rest = b""
        if self._is_within or len(last) >= _DECIDED_BYTES:
            self._take(last, kept)
            self._is_within = True
        else:
            self._rest = last
        return b"".join(kept)

    def end(self) -> bytes:
        kept: list[bytes] = []
        self._take(self._rest, kept)
        return b"".join(kept)

    def _take(self, line: bytes, kept: list[bytes]) -> None:
        if not self._is_within and line[:1] not in {b" ", b"\t"}:
            self._is_left_out = _PICTURE.match(line) is not None
        if not self._is_left_out:
            kept.append(line)


class _MessagesWithoutParts:
    """Keeps XML but what the attributes `data` hold: pictures of MMS, in base64."""

    def __init__(self) -> None:
        self._rest: bytes = b""
        self._is_within = False

    def feed(self, piece: bytes) -> bytes:
        data = self._rest + piece
        self._rest = b""
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            end = data.find(b'"' if self._is_within else _PART, at)
            if self._is_within:
                if end < 0:
                    break
                at = end
            elif end < 0:
                self._rest = data[max(at, len(data) - len(_PART) + 1) :]
                kept.append(data[at : len(data) - len(self._rest)])
                break
            else:
                kept.append(data[at : end + len(_PART)])
                at = end + len(_PART)
            self._is_within = not self._is_within
        return b"".join(kept)

    def end(self) -> bytes:
        return self._rest
