"""API keys as texts: `ping_<prefix>_<secret><checksum>`, recognised without asking anybody.

The prefix (12 characters of base32) is public and names the key in lists and logs. The secret is
256 random bits in 43 characters of base62; the last 6 are the CRC-32 of all before them, in base62.
So a scanner for leaked secrets knows a key from other text, and a slip of the pen is no look-up.
"""

import hashlib
import re
import secrets
import zlib
from typing import Final

from msgspec import Struct

MARK: Final = "ping_"
PREFIX_CHARS: Final = 12
SECRET_CHARS: Final = 43
CHECKSUM_CHARS: Final = 6
SECRET_BITS: Final = 256
SHAPE: Final = re.compile(
    rf"{MARK}([a-z2-7]{{{PREFIX_CHARS}}})_[0-9A-Za-z]{{{SECRET_CHARS + CHECKSUM_CHARS}}}"
)
"""What a scanner looks for; the checksum says whether it is one."""

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class KeyFormatError(ValueError):
    """The text is no API key, or one with a slip in it."""


class Presented(Struct, frozen=True):
    """What may be known and kept of a key that somebody has shown."""

    prefix: str
    secret_hash: bytes
    """SHA-256 of the whole text: with 256 random bits neither salt nor stretching helps."""


def generate() -> tuple[str, Presented]:
    """Return a new key and what is kept of it; the text itself is stored nowhere."""
    prefix = "".join(secrets.choice(_BASE32) for _ in range(PREFIX_CHARS))
    secret = _base62(secrets.randbits(SECRET_BITS), SECRET_CHARS)
    body = f"{MARK}{prefix}_{secret}"
    text = body + _checksum(body)
    return text, Presented(prefix, _hash(text))


def read(text: str) -> Presented:
    """Return what is known of a key, or raise KeyFormatError; says nothing of its validity."""
    found = SHAPE.fullmatch(text)
    if found is None or _checksum(text[:-CHECKSUM_CHARS]) != text[-CHECKSUM_CHARS:]:
        raise KeyFormatError("no API key")
    return Presented(found[1], _hash(text))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), CHECKSUM_CHARS)


def _base62(number: int, size_chars: int) -> str:
    digits = ""
    for _ in range(size_chars):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
