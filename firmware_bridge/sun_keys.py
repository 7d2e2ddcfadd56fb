"""The keys of a ring's NTAG 424 DNA tag, diversified from one master key (AN10922, AES-128).

A tag has five keys. Key 1 signs and encrypts its reads and is its own; key 2 hides the UID and is
one for all tags of a mode, since the UID is only known behind it. The modes have different keys:
who measures one out of a tag in AES mode learns nothing about the tags in LRP mode.
"""

from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from firmware_bridge.lrp import double
from firmware_bridge.sun_session import BLOCK, SunMode
from firmware_bridge.tap import cmac

KEY_BYTES: Final = 16
FACTORY_KEY: Final = bytes(KEY_BYTES)
FILE_KEY_NUMBER: Final = 1
META_KEY_NUMBER: Final = 2
_KEYS: Final = 5
_AES128: Final = b"\x01"
_SYSTEM: Final[dict[SunMode, bytes]] = {"aes": b"pinghub", "lrp": b"pinglrp"}
# Stands where a UID would; no UID of NXP's starts with "h".
_META: Final = b"hubmeta"


class TagKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a link of one tag is verified with."""

    meta: bytes
    file: bytes


def meta_key(master: bytes, mode: SunMode = "aes") -> bytes:
    """Return key 2, which all tags of a mode share."""
    return diversify(master, _META, _SYSTEM[mode])


def file_key(master: bytes, uid: bytes, mode: SunMode = "aes") -> bytes:
    """Return key 1 of a tag."""
    return diversify(master, uid, _SYSTEM[mode])


def tag_keys(master: bytes, uid: bytes, mode: SunMode = "aes") -> TagKeys:
    """Return what a tag's links are made and verified with."""
    return TagKeys(meta=meta_key(master, mode), file=file_key(master, uid, mode))


def all_keys(master: bytes, uid: bytes, mode: SunMode = "aes") -> tuple[bytes, ...]:
    """Return keys 0 to 4 of a tag; none stays as it left the factory, not even an unused one."""
    keys = [diversify(master, uid, _SYSTEM[mode] + bytes((number,))) for number in range(_KEYS)]
    keys[FILE_KEY_NUMBER] = file_key(master, uid, mode)
    keys[META_KEY_NUMBER] = meta_key(master, mode)
    return tuple(keys)


def diversify(master: bytes, uid: bytes, system_id: bytes) -> bytes:
    """Return a tag's own AES-128 key from a master key (AN10922); system_id may carry an AID."""
    message = _AES128 + uid + system_id
    size = 2 * BLOCK
    if len(message) > size or len(message) < 2:  # noqa: PLR2004  # the constant and one byte more
        raise ValueError("UID and system id have 1 to 31 bytes together")
    if len(message) > BLOCK:
        return cmac(master, message)
    # AN10922 pads to two blocks where RFC 4493 would stop at one.
    second = double(double(_cbc_last(master, bytes(BLOCK))))
    padded = (message + b"\x80").ljust(size, b"\0")
    last = bytes(a ^ b for a, b in zip(padded[BLOCK:], second, strict=True))
    return _cbc_last(master, padded[:BLOCK] + last)


def _cbc_last(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(AES(key), CBC(bytes(BLOCK))).encryptor()
    return encryptor.update(data)[-BLOCK:]
