"""SUN links of NTAG 424 DNA tags (Secure Dynamic Messaging, AES and LRP mode): read, verify, make.

A tap opens `…?picc_data=<hex>[&enc=<hex>]&cmac=<16 hex>`. picc_data hides tag byte 0xC7 | UID 7 |
counter 3 LE | 5 random bytes; it has 16 bytes in AES mode and 24 in LRP mode, so that a link says
its mode. A tag may instead show UID and counter in plain hex (`uid`, `ctr`, the counter most
significant byte first). The MAC covers UID and counter through its key, and the characters from
SDMMACInputOffset up to and including `cmac=`, as sent: by default from the first of `enc`, and none
when there is no `enc`. The counter is the caller's to check: it must grow, atomically.
"""

import os
import re
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec

from firmware_bridge import sun_session as session
from firmware_bridge.sun_session import BLOCK, COUNTER_BYTES, UID_BYTES, SunMode

COUNTER_MAX: Final = (1 << 24) - 1
"""The counter stops here: such a tag is worn out."""
PICC_TAG: Final = 0xC7
"""UID and counter mirrored, UID of 7 bytes: without either, a link proves no tap."""
MacInput: TypeAlias = Literal["auto", "address", "picc", "uid", "counter", "enc", "mac"]
"""Where the signed characters begin: at that part's value, or (`address`) behind `https://` or
`https://www.`, which NDEF abbreviates. `auto`: at enc if there is one, else at the MAC (none are
signed)."""

_LINK_CHARACTERS_MAX: Final = 2048
_ENC_BYTES_MAX: Final = 256
_PICC_RANDOM_BYTES: Final = 5
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_SCHEME: Final = re.compile(r"https?://(?:www\.)?")
_PARAMETER: Final = re.compile(r"(?<![^?&])([^?&=#]*)=([^&#]*)")


class SunError(Exception):
    """The link is not a genuine one; it does not say why, so that nobody learns by trying."""

    def __init__(self) -> None:
        super().__init__("not a genuine SUN link")


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a tag is set up to write its links: names of parameters, what is plain, what is signed.

    A plain link does not tell its mode, so a layout of plain ones does.
    """

    picc: str = "picc_data"
    uid: str = "uid"
    counter: str = "ctr"
    enc: str = "enc"
    mac: str = "cmac"
    mac_input: MacInput = "auto"
    plain: SunMode | None = None


ENCRYPTED: Final = Layout()
"""The links that the hub takes."""


class SunLink(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a link; nothing in it is proved. Either picc_data is there, or UID and counter.

    `counter` is as the session keys take it, 3 bytes LE.
    """

    mode: SunMode
    picc_data: bytes = b""
    uid: bytes = b""
    counter: bytes = b""
    enc: bytes = b""
    cmac: bytes
    mac_input: bytes


class SunTap(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine read of a tag; whether it is a fresh one is for the counter to say."""

    uid: bytes
    counter: int
    file_data: bytes
    mode: SunMode

    @property
    def is_worn_out(self) -> bool:
        """Whether this was the tag's last read that can count: replace it."""
        return self.counter == COUNTER_MAX


def parse(link: str, layout: Layout = ENCRYPTED) -> SunLink:
    """Take a link or its query apart, or raise SunError; other parameters are allowed around it."""
    if len(link) > _LINK_CHARACTERS_MAX or not link.isascii():
        raise SunError
    link = link.partition("#")[0]
    places = spans(link, layout)
    values = {part: link[start:end] for part, (start, end) in places.items()}
    enc = _from_hex(values["enc"]) if "enc" in values else b""
    if "mac" not in values or len(enc) % BLOCK or len(enc) > _ENC_BYTES_MAX:
        raise SunError
    mac = _from_hex(values["mac"], session.MAC_BYTES)
    signed = _signed(link, places, layout)
    if layout.plain is None:
        if "picc" not in values:
            raise SunError
        picc_data = _from_hex(values["picc"])
        for mode, size in session.PICC_BYTES.items():
            if len(picc_data) == size:
                return SunLink(mode=mode, picc_data=picc_data, enc=enc, cmac=mac, mac_input=signed)
        raise SunError
    if "uid" not in values or "counter" not in values:
        raise SunError
    return SunLink(
        mode=layout.plain,
        uid=_from_hex(values["uid"], UID_BYTES),
        counter=_from_hex(values["counter"], COUNTER_BYTES)[::-1],
        enc=enc,
        cmac=mac,
        mac_input=signed,
    )


def read(link: SunLink, meta_key: bytes, file_key_for: Callable[[bytes], bytes]) -> SunTap:
    """Verify a link with the keys of its tag and mode, or raise SunError.

    `file_key_for` gets the UID and returns the tag's key; for an unknown tag it may raise
    LookupError. A link with plain UID and counter needs no meta key.
    """
    uid, counter = link.uid, link.counter
    if link.picc_data:
        picc = session.open_picc(link.mode, meta_key, link.picc_data)
        if picc[0] != PICC_TAG:
            raise SunError
        uid, counter = picc[1:8], picc[8:11]
    try:
        file_key = file_key_for(uid)
    except LookupError:
        raise SunError from None
    keys = session.session_keys(link.mode, file_key, uid, counter)
    # A tag counts before it shows: 0 is what a blank template would sign.
    if not session.is_signed(keys, link.mac_input, link.cmac) or not any(counter):
        raise SunError
    return SunTap(
        uid=uid,
        counter=int.from_bytes(counter, "little"),
        file_data=session.open_file(keys, counter, link.enc) if link.enc else b"",
        mode=link.mode,
    )


def make_link(
    base: str,
    *,
    meta_key: bytes,
    file_key: bytes,
    uid: bytes,
    counter: int,
    file_data: bytes = b"",
    mode: SunMode = "aes",
    layout: Layout = ENCRYPTED,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Return the link that a tag with these keys shows at this counter; base is all up to `?`.

    A plain layout decides the mode itself.
    """
    if len(uid) != UID_BYTES or not 0 < counter <= COUNTER_MAX or len(file_data) % BLOCK:
        raise ValueError("a UID has 7 bytes, a counter 24 bits, file data whole blocks of 16")
    mode = layout.plain or mode
    counter_bytes = counter.to_bytes(COUNTER_BYTES, "little")
    keys = session.session_keys(mode, file_key, uid, counter_bytes)
    parts: list[tuple[str, bytes]] = []
    if layout.plain:
        parts += [(layout.uid, uid), (layout.counter, counter_bytes[::-1])]
    else:
        picc = bytes((PICC_TAG,)) + uid + counter_bytes + random(_PICC_RANDOM_BYTES)
        rand = random(session.PICC_RANDOM_BYTES) if mode == "lrp" else b""
        parts.append((layout.picc, session.seal_picc(mode, meta_key, picc, rand)))
    if file_data:
        parts.append((layout.enc, session.seal_file(keys, counter_bytes, file_data)))
    query = "&".join(f"{name}={data.hex().upper()}" for name, data in parts)
    link = f"{base}?{query}&{layout.mac}="
    signed = _signed(link, spans(link, layout), layout)
    return link + session.sign(keys, signed).hex().upper()


def address_start(link: str) -> int:
    """Return where a link's first character stands that NDEF does not abbreviate."""
    scheme = _SCHEME.match(link)
    return scheme.end() if scheme else 0


def spans(link: str, layout: Layout) -> dict[str, tuple[int, int]]:
    """Return where each part's value stands; raises SunError for a part that is there twice."""
    names = {
        name: part
        for part, name in (
            ("uid", layout.uid),
            ("counter", layout.counter),
            ("picc", layout.picc),
            ("enc", layout.enc),
            ("mac", layout.mac),
        )
    }
    found: dict[str, tuple[int, int]] = {}
    for match in _PARAMETER.finditer(link, link.rfind("?") + 1):
        part = names.get(match[1])
        if part in found:
            raise SunError
        if part is not None:
            found[part] = match.span(2)
    return found


def _signed(link: str, places: dict[str, tuple[int, int]], layout: Layout) -> bytes:
    end = places["mac"][0]
    match layout.mac_input:
        case "auto":
            start = places["enc" if "enc" in places else "mac"][0]
        case "address":
            start = address_start(link)
        case part:
            if part not in places:
                raise SunError
            start = places[part][0]
    if start > end:
        raise SunError
    return link[start:end].encode("ascii")


def _from_hex(text: str, size: int | None = None) -> bytes:
    if not _HEX.fullmatch(text) or size not in (None, len(text) // 2):
        raise SunError
    return bytes.fromhex(text)
