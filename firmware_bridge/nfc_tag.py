"""How a reader gets the NDEF message out of a tag, without I/O: commands out, answers in.

Type 4 tags (NFC Forum Type 4 Tag 2.0, as NTAG 424 DNA) take APDUs: select the NDEF application, its
capability container, its NDEF file, and read that in pieces. Type 2 tags (NFC Forum Type 2 Tag, as
NTAG213/215/216) take READ of four pages. A dialogue is a generator: it yields a command, is sent
the answer, and returns the message; its caller does the I/O and keeps the time. It asks for at most
`COMMANDS_MAX` commands, whatever the tag answers.
"""

from collections.abc import Generator
from typing import Final, Literal, TypeAlias

from firmware_bridge import static_tag
from firmware_bridge.static_tag import NdefError, NdefProblem, UnverifiedRead

TagKind: TypeAlias = Literal["type2", "type4"]
TagProblem: TypeAlias = (
    NdefProblem
    | Literal[
        "no_application",  # not an NFC Forum tag
        "locked",  # its NDEF file is not free to read
        "empty",
        "wrong_length",  # what it says of its lengths is not what it answers
        "refused",  # it answers with an error
    ]
)
Dialogue: TypeAlias = Generator[bytes, bytes, bytes]

MESSAGE_BYTES_MAX: Final = 888
"""As large as the largest tag that is read here; an address has 512 characters at most."""
PIECE_BYTES: Final = 240
"""Fits a normal frame of every reader."""
COMMANDS_MAX: Final = 65
"""Five to get there, and the longest message fifteen bytes at a time."""
GET_UID: Final = bytes.fromhex("FFCA000000")
"""To the reader, not the tag (PC/SC part 3, 3.2.2.1.3)."""
READ_PAGES: Final = 0x30
"""READ of a Type 2 tag; with a page number it returns that page and three more."""

_OK: Final = b"\x90\x00"
_SELECT_APPLICATION: Final = bytes.fromhex("00A4040007D276000085010100")
_SELECT_FILE: Final = bytes.fromhex("00A4000C02")
_CAPABILITIES: Final = bytes.fromhex("E103")
_CAPABILITIES_BYTES: Final = 15
_NDEF_FILE_CONTROL: Final = b"\x04\x06"
_MAPPING_VERSIONS: Final = range(1, 4)
_PIECE_BYTES_MIN: Final = 15
_LENGTH_BYTES: Final = 2
_PAGE_BYTES: Final = 4
_PAGES_AT_ONCE: Final = 4
_CAPABILITY_PAGE: Final = 3
_FIRST_PAGE: Final = 4
_MAGIC: Final = 0xE1
_SIZE_UNIT: Final = 8


class TagError(Exception):
    """The tag gives no address; `problem` says why."""

    def __init__(self, problem: TagProblem) -> None:
        super().__init__(problem)
        self.problem: TagProblem = problem


def read_tag(kind: TagKind) -> Dialogue:
    """Return the dialogue for a kind of tag; it returns the NDEF message, or raises TagError."""
    return _type4() if kind == "type4" else _type2()


def read_message(message: bytes) -> UnverifiedRead:
    """Return the web address in an NDEF message, or raise TagError."""
    try:
        return static_tag.read_message(message)
    except NdefError as error:
        raise TagError(error.problem) from None


def read_pages(page: int) -> bytes:
    """Return the READ command of a Type 2 tag."""
    return bytes((READ_PAGES, page))


def _type4() -> Dialogue:
    try:
        yield from _apdu(_SELECT_APPLICATION)
    except TagError:
        raise TagError("no_application") from None
    yield from _apdu(_SELECT_FILE + _CAPABILITIES)
    container = yield from _read_binary(0, _CAPABILITIES_BYTES)
    file_id, file_bytes, piece = _capabilities(container)
    yield from _apdu(_SELECT_FILE + file_id)
    size = int.from_bytes((yield from _read_binary(0, _LENGTH_BYTES)), "big")
    if not size:
        raise TagError("empty")
    if size > file_bytes - _LENGTH_BYTES:
        raise TagError("wrong_length")
    if size > MESSAGE_BYTES_MAX:
        raise TagError("too_long")
    message = b""
    while len(message) < size:
        at = _LENGTH_BYTES + len(message)
        message += yield from _read_binary(at, min(piece, size - len(message)))
    return message


def _capabilities(container: bytes) -> tuple[bytes, int, int]:
    """Return id and size of the NDEF file, and how much may be read at once."""
    stated, version = int.from_bytes(container[:2], "big"), container[2] >> 4
    piece = int.from_bytes(container[3:5], "big")
    if stated < _CAPABILITIES_BYTES or container[7:9] != _NDEF_FILE_CONTROL:
        raise TagError("wrong_length")
    if version not in _MAPPING_VERSIONS or piece < _PIECE_BYTES_MIN:
        raise TagError("no_application")
    if container[13]:
        raise TagError("locked")
    return container[9:11], int.from_bytes(container[11:13], "big"), min(piece, PIECE_BYTES)


def _read_binary(offset: int, size: int) -> Generator[bytes, bytes, bytes]:
    data = yield from _apdu(bytes.fromhex("00B0") + offset.to_bytes(2, "big") + bytes((size,)))
    if len(data) != size:
        raise TagError("wrong_length")
    return data


def _apdu(command: bytes) -> Generator[bytes, bytes, bytes]:
    answer = yield command
    if answer[-2:] != _OK:
        raise TagError("refused")
    return answer[:-2]


def _type2() -> Dialogue:
    container = (yield from _read_four(_CAPABILITY_PAGE))[:_PAGE_BYTES]
    if container[0] != _MAGIC or container[1] >> 4 != 1:
        raise TagError("no_application")
    if container[3] >> 4:
        raise TagError("locked")
    size = min(container[2] * _SIZE_UNIT, MESSAGE_BYTES_MAX)
    memory = b""
    problem: TagProblem = "empty"
    while len(memory) < size:
        memory += yield from _read_four(_FIRST_PAGE + len(memory) // _PAGE_BYTES)
        try:
            return static_tag.find_message(memory[:size])
        except NdefError as error:
            problem = error.problem  # so far; the rest of the message may follow
    raise TagError(problem)


def _read_four(page: int) -> Generator[bytes, bytes, bytes]:
    answer = yield read_pages(page)
    if not answer:
        raise TagError("refused")
    if len(answer) != _PAGES_AT_ONCE * _PAGE_BYTES:
        raise TagError("wrong_length")
    return answer
