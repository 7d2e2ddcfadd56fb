"""Static NFC tags (NTAG213/215/216): NDEF with a URI, and the chip's mirrors of UID and counter.

Such a tag answers the same to everybody, and anybody can copy it: what is read from one is a claim.
It has a type of its own that shares no field with a verified tap, so that none is taken for one.
The chip writes its UID (14 hex digits), its NFC counter (6) or both with an `x` between over the
characters where its mirror points (NTAG213/215/216 data sheet, 8.7 ASCII mirror function).
"""

import re
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec
import ndef

# ndeflib has no types.
_Uri: Final = cast("type[Any]", ndef.UriRecord)
_decode: Final = cast("Any", ndef.message_decoder)
_encode: Final = cast("Any", ndef.message_encoder)
# The decoders of other record types are not for strangers' bytes.
_URI_ONLY: Final = {"urn:nfc:wkt:U": _Uri}

NdefProblem: TypeAlias = Literal["too_long", "no_ndef", "malformed", "not_one_uri", "bad_uri"]
Chip: TypeAlias = Literal["ntag213", "ntag215", "ntag216"]
Mirror: TypeAlias = Literal["none", "uid", "counter", "uid_and_counter"]

UID_BYTES: Final = 7
COUNTER_MAX: Final = (1 << 24) - 1
MEMORY_BYTES: Final[dict[Chip, int]] = {"ntag213": 144, "ntag215": 504, "ntag216": 888}
"""User memory, from page 4 on."""
_MESSAGE_BYTES_MAX: Final = 888
_URI_CHARACTERS_MAX: Final = 512
_PAGE_BYTES: Final = 4
_FIRST_PAGE: Final = 4
_NULL, _NDEF, _TERMINATOR = 0x00, 0x03, 0xFE
_LONG_LENGTH: Final = 0xFF
# NTAG213 leaves the factory with this in front; the others with nothing (data sheet, table 5).
_LOCK_CONTROL: Final[dict[Chip, bytes]] = {
    "ntag213": bytes.fromhex("0103A00C34"),
    "ntag215": b"",
    "ntag216": b"",
}
_MIRROR_CONF: Final[dict[Mirror, int]] = {"none": 0, "uid": 1, "counter": 2, "uid_and_counter": 3}
_STRONG_MODULATION: Final = 0x04
_PLACEHOLDERS: Final[dict[Mirror, str]] = {
    "none": "",
    "uid": "0" * 14,
    "counter": "0" * 6,
    "uid_and_counter": "0" * 14 + "x" + "0" * 6,
}
_MIRRORED: Final = re.compile(
    r"(?P<uid>[0-9A-F]{14})(?:x(?P<both>[0-9A-F]{6}))?|(?P<counter>[0-9A-F]{6})"
)
_PARAMETER: Final = re.compile(r"[?&]([^?&=#]*)=([^&#]*)")
_ABBREVIATED: Final = re.compile(r"https?://[\x21-\x7e]+")


class NdefError(Exception):
    """The bytes are not an NDEF message of one web address; `problem` says what is wrong."""

    def __init__(self, problem: NdefProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem: NdefProblem = problem


class UnverifiedRead(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody's phone or reader says that a static tag showed. It proves nothing.

    It may open a page that asks who taps; it creates no contact without the owner's consent.
    """

    uri: str
    claimed_uid: bytes | None = None
    claimed_counter: int | None = None


class StaticImage(msgspec.Struct, frozen=True, kw_only=True):
    """What is written to a chip: user memory from page 4 on, and where its mirror points."""

    memory: bytes
    mirror_byte: int
    """CFG0 byte 0 (MIRROR): which mirror, and the byte inside the page."""
    mirror_page: int
    """CFG0 byte 2 (MIRROR_PAGE); 0 switches the mirror off."""


def read_message(message: bytes, *, parameter: str = "m") -> UnverifiedRead:
    """Read an NDEF message of one URI record, or raise NdefError.

    `parameter` is the URL parameter over which the tag writes its mirror.
    """
    if len(message) > _MESSAGE_BYTES_MAX:
        raise NdefError("too_long", f"more than {_MESSAGE_BYTES_MAX} bytes fit no such tag")
    try:
        records = list(_decode(message, known_types=_URI_ONLY))
    except (ndef.DecodeError, ValueError) as error:
        raise NdefError("malformed", str(error)) from None
    if len(records) != 1 or not isinstance(records[0], _Uri):
        raise NdefError("not_one_uri", "expected one URI record and nothing else")
    return read_uri(records[0].iri, parameter=parameter)


def read_memory(memory: bytes, *, parameter: str = "m") -> UnverifiedRead:
    """Read the user memory of a Type 2 tag (page 4 on), or raise NdefError."""
    return read_message(find_message(memory), parameter=parameter)


def read_uri(uri: str, *, parameter: str = "m") -> UnverifiedRead:
    """Read the address that a tag opened, or raise NdefError."""
    if len(uri) > _URI_CHARACTERS_MAX or not _ABBREVIATED.fullmatch(uri):
        raise NdefError("bad_uri", "expected a web address of visible ASCII characters")
    values = [value for name, value in _PARAMETER.findall(uri) if name == parameter]
    found = _MIRRORED.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return UnverifiedRead(uri=uri)
    uid, counter = found["uid"], found["both"] or found["counter"]
    return UnverifiedRead(
        uri=uri,
        claimed_uid=bytes.fromhex(uid) if uid else None,
        claimed_counter=int(counter, 16) if counter else None,
    )


def build_message(uri: str) -> bytes:
    """Return the NDEF message of one URI record, abbreviated as the NFC Forum has it."""
    return b"".join(_encode([_Uri(uri)]))


def build_image(
    base: str, *, chip: Chip, mirror: Mirror = "uid_and_counter", parameter: str = "m"
) -> StaticImage:
    """Return what to write to a chip whose address is `base` and, with a mirror, one parameter.

    Raises ValueError when it does not fit.
    """
    placeholder = _PLACEHOLDERS[mirror]
    uri = base
    if placeholder:
        uri += f"{'&' if '?' in base else '?'}{parameter}={placeholder}"
    message = build_message(uri)
    length = (
        bytes((len(message),))
        if len(message) < _LONG_LENGTH
        else b"\xff" + len(message).to_bytes(2, "big")
    )
    head = _LOCK_CONTROL[chip] + bytes((_NDEF,)) + length
    memory = head + message + bytes((_TERMINATOR,))
    if len(memory) > MEMORY_BYTES[chip]:
        raise ValueError(f"{chip} has {MEMORY_BYTES[chip]} bytes, this takes {len(memory)}")
    if not placeholder:
        return StaticImage(memory=memory, mirror_byte=_STRONG_MODULATION, mirror_page=0)
    page, byte = divmod(len(head) + len(message) - len(placeholder), _PAGE_BYTES)
    return StaticImage(
        memory=memory,
        mirror_byte=_MIRROR_CONF[mirror] << 6 | byte << 4 | _STRONG_MODULATION,
        mirror_page=_FIRST_PAGE + page,
    )


def mirrored(image: StaticImage, *, uid: bytes, counter: int) -> bytes:
    """Return the memory as a reader sees it: with the mirrors over the placeholder."""
    if len(uid) != UID_BYTES or not 0 <= counter <= COUNTER_MAX:
        raise ValueError("a UID has 7 bytes, a counter 24 bits")
    shown = {
        0: "",
        1: uid.hex().upper(),
        2: f"{counter:06X}",
        3: f"{uid.hex().upper()}x{counter:06X}",
    }[image.mirror_byte >> 6]
    at = (image.mirror_page - _FIRST_PAGE) * _PAGE_BYTES + (image.mirror_byte >> 4 & 3)
    if not shown or not image.mirror_page:
        return image.memory
    return image.memory[:at] + shown.encode() + image.memory[at + len(shown) :]


def find_message(memory: bytes) -> bytes:
    """Return the value of the first NDEF TLV (NFC Forum Type 2 Tag, 2.3)."""
    at = 0
    while at < len(memory) and memory[at] != _TERMINATOR:
        kind = memory[at]
        at += 1
        if kind == _NULL:
            continue
        # What is cut off counts as far too long.
        size = memory[at] if at < len(memory) else len(memory)
        at += 1
        if size == _LONG_LENGTH:
            size = int.from_bytes(memory[at : at + 2].ljust(2, b"\xff"), "big")
            at += 2
        if at + size > len(memory):
            raise NdefError("malformed", "a block reaches beyond the memory")
        if kind == _NDEF:
            return memory[at : at + size]
        at += size
    raise NdefError("no_ndef", "the memory holds no NDEF message")
