"""How an NTAG 424 DNA tag is set up to write SUN links: NDEF file, SDM settings, keys, order.

Offsets count bytes from the start of the NDEF file (02), its two length bytes included. Settings
are the data of ChangeFileSettings (NT4H2421Gx 10.7.1): FileOption, AccessRights, SDMOptions,
SDMAccessRights, then the offsets that these ask for, all LSB first. Nothing here talks to a tag.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from firmware_bridge import static_tag
from firmware_bridge.sun import ENCRYPTED, Layout, MacInput, address_start
from firmware_bridge.sun_keys import FILE_KEY_NUMBER, META_KEY_NUMBER
from firmware_bridge.sun_session import (
    BLOCK,
    COUNTER_BYTES,
    MAC_BYTES,
    PICC_BYTES,
    UID_BYTES,
    SunMode,
)

NDEF_FILE: Final = 0x02
NDEF_FILE_BYTES: Final = 256
KEY_VERSION: Final = 1
SET_LRP: Final = bytes.fromhex("00000000020000000000")
"""Data of SetConfiguration, option 05: LRP for ever; there is no way back to AES."""
_LENGTH_BYTES: Final = 2
_FREE: Final = 0xE
_NEVER: Final = 0xF
_SDM_ENABLED: Final = 0x40
_MIRROR_UID, _MIRROR_COUNTER, _ENC_FILE, _ASCII = 0x80, 0x40, 0x10, 0x01
ENC_BLOCKS_MAX: Final = 4

Part: TypeAlias = Literal["picc", "uid", "counter", "enc", "mac"]
KeyNumber = Annotated[int, msgspec.Meta(ge=0, le=15)]


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """Which key opens what: 0 to 4, 14 for everybody, 15 for nobody.

    By default everybody reads the file and only key 0 writes it: a file that everybody may write is
    somebody else's link tomorrow.
    """

    read: KeyNumber = _FREE
    write: KeyNumber = 0
    read_write: KeyNumber = 0
    change: KeyNumber = 0
    sdm_file_read: KeyNumber = FILE_KEY_NUMBER
    sdm_meta_read: KeyNumber = META_KEY_NUMBER
    counter_retrieval: KeyNumber = _NEVER


class TagPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to write to a tag; it holds no secrets."""

    mode: SunMode
    url: str
    """The link with zeros where the tag writes."""
    ndef_file: bytes
    file_settings: bytes
    offsets: dict[str, int]
    """SDM offsets and lengths by their names in the data sheet."""


def plan(
    base: str,
    *,
    mode: SunMode = "aes",
    layout: Layout = ENCRYPTED,
    file_data: bytes = b"",
    rights: Rights | None = None,
) -> TagPlan:
    """Return the set-up of a tag whose links begin with `base` (all up to `?`).

    `file_data`, whole blocks of 16 bytes, stands in the file and is mirrored encrypted. Raises
    ValueError when the base is no web address or the file is too small.
    """
    if not base.startswith(("https://", "http://")) or "?" in base or "#" in base:
        raise ValueError("the base is a web address without ? and #")
    enc_blocks, rest = divmod(len(file_data), BLOCK)
    if rest or enc_blocks > ENC_BLOCKS_MAX:
        raise ValueError(f"0 to {ENC_BLOCKS_MAX} whole blocks of file data are mirrored")
    mode = layout.plain or mode
    rights = rights or Rights()
    if layout.plain:
        rights = msgspec.structs.replace(rights, sdm_meta_read=_FREE)
    url, places = template(base, mode=mode, layout=layout, enc_blocks=enc_blocks)
    message = static_tag.build_message(url)
    if _LENGTH_BYTES + len(message) > NDEF_FILE_BYTES:
        raise ValueError(f"file and link take more than {NDEF_FILE_BYTES} bytes")
    ndef_file = len(message).to_bytes(_LENGTH_BYTES, "big") + message
    shift = file_shift(url)
    offsets = _offsets(url, places, shift, layout)
    if file_data:
        # The tag encrypts the first half of the place and writes twice as many hex digits.
        at = offsets["SDMENCOffset"]
        ndef_file = ndef_file[:at] + file_data + ndef_file[at + len(file_data) :]
    return TagPlan(
        mode=mode,
        url=url,
        ndef_file=ndef_file,
        file_settings=_settings(rights, offsets, layout),
        offsets=offsets,
    )


def steps(plan: TagPlan) -> list[str]:
    """Return what to do with a factory-new tag, in the order that cannot lock anybody out."""
    authenticate = "AuthenticateLRPFirst" if plan.mode == "lrp" else "AuthenticateEV2First"
    found = ["Open the application D2760000850101, AuthenticateEV2First with key 0 (zeros)."]
    if plan.mode == "lrp":
        found.append(
            f"SetConfiguration option 05 with {SET_LRP.hex().upper()} (for ever), then"
            f" {authenticate} with key 0 (zeros)."
        )
    return [
        *found,
        "Write the NDEF file (02) from offset 0.",
        "ChangeFileSettings of file 02, in CommMode.Full.",
        f"ChangeKey 1, 2, 3, 4 (old key zeros, version {KEY_VERSION}); key 0 stays until the end.",
        "Read the tag with a phone; `pinghub ring doctor` must accept the link.",
        "ChangeKey 0 last: from then on the zeros open nothing.",
    ]


def file_shift(url: str) -> int:
    """Return how much further back a link's characters stand in the NDEF file than in the link."""
    # The scheme is one byte there, behind the header of record and file.
    return _LENGTH_BYTES + len(static_tag.build_message(url)) - len(url)


def template(
    base: str, *, mode: SunMode, layout: Layout, enc_blocks: int
) -> tuple[str, dict[Part, int]]:
    """Return the link with zeros where the tag writes, and where each of those places begins."""
    parts: list[tuple[Part, str, int]] = []
    if layout.plain:
        parts.append(("uid", layout.uid, UID_BYTES))
        parts.append(("counter", layout.counter, COUNTER_BYTES))
    else:
        parts.append(("picc", layout.picc, PICC_BYTES[mode]))
    if enc_blocks:
        parts.append(("enc", layout.enc, enc_blocks * BLOCK))
    parts.append(("mac", layout.mac, MAC_BYTES))
    url = base
    places: dict[Part, int] = {}
    for number, (part, name, size) in enumerate(parts):
        url += f"{'&' if number else '?'}{name}="
        places[part] = len(url)
        url += "00" * size
    return url, places


def mac_input_at(url: str, places: dict[Part, int], mac_input: MacInput) -> int:
    """Return where the signed characters of a template begin, or raise ValueError."""
    match mac_input:
        case "auto":
            return places.get("enc", places["mac"])
        case "address":
            return address_start(url)
        case part:
            if part not in places:
                raise ValueError(f"the link has no {part} to sign from")
            return places[part]


def _offsets(url: str, places: dict[Part, int], shift: int, layout: Layout) -> dict[str, int]:
    names: dict[Part, str] = {
        "uid": "UIDOffset",
        "counter": "SDMReadCtrOffset",
        "picc": "PICCDataOffset",
    }
    found = {name: places[part] + shift for part, name in names.items() if part in places}
    found["SDMMACInputOffset"] = mac_input_at(url, places, layout.mac_input) + shift
    if "enc" in places:
        end = url.index("&", places["enc"])
        found["SDMENCOffset"] = places["enc"] + shift
        found["SDMENCLength"] = end - places["enc"]
    found["SDMMACOffset"] = places["mac"] + shift
    return found


def _settings(rights: Rights, offsets: dict[str, int], layout: Layout) -> bytes:
    options = _MIRROR_UID | _MIRROR_COUNTER | _ASCII
    if "SDMENCOffset" in offsets:
        options |= _ENC_FILE
    meta_read = _FREE if layout.plain else rights.sdm_meta_read
    head = (
        _SDM_ENABLED,
        rights.read_write << 4 | rights.change,
        rights.read << 4 | rights.write,
        options,
        0xF0 | rights.counter_retrieval,
        meta_read << 4 | rights.sdm_file_read,
    )
    return bytes(head) + b"".join(offset.to_bytes(3, "little") for offset in offsets.values())
