"""Cryptography at rest: AES-256-GCM for fields, HMAC-SHA256 for blind indexes, SHA-256 for tokens.

A sealed value is `version(1) || key id(1) || nonce(12) || ciphertext || tag(16)`. The associated
data binds it to its column and row: a ciphertext copied into another row does not open.
"""

import base64
import hashlib
import hmac
import os
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 2 + _NONCE_BYTES
_TAG_BYTES: Final = 16


class DecryptionError(Exception):
    """The value was sealed with another key, for another row, or was changed."""


class KeyRing:
    """Keys by number; the highest number seals, every number opens, so that keys rotate."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES or not 0 <= n <= 255 for n, key in keys.items()):  # noqa: PLR2004  # the number is one byte
            raise ValueError("a key ring needs at least one key of 32 bytes numbered 0 to 255")
        self._keys = dict(keys)
        self.current = max(keys)

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `1:<base64>,2:<base64>`, the form of the settings."""
        pairs = (part.split(":", 1) for part in text.split(",") if part.strip())
        return cls({int(number): base64.b64decode(key, validate=True) for number, key in pairs})

    def key(self, number: int) -> bytes:
        """Return key `number`; raises DecryptionError when it is not on the ring."""
        try:
            return self._keys[number]
        except KeyError:
            raise DecryptionError(f"key {number} is not on the ring") from None

    def __repr__(self) -> str:
        return f"KeyRing(numbers={sorted(self._keys)})"


class FieldCipher:
    """Seals and opens single values of rows."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, plaintext: bytes, *, column: str, row: bytes) -> bytes:
        """Encrypt for `column` ("users.email") of the row with the id bytes `row`."""
        number = self._keys.current
        nonce = os.urandom(_NONCE_BYTES)
        header = bytes((_VERSION, number)) + nonce
        sealed = AESGCM(self._keys.key(number)).encrypt(
            nonce, plaintext, _bind(header, column, row)
        )
        return header + sealed

    def open(self, sealed: bytes, *, column: str, row: bytes) -> bytes:
        """Decrypt a value sealed for the same column and row, or raise DecryptionError."""
        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or sealed[0] != _VERSION:
            raise DecryptionError("not a sealed value")
        header, ciphertext = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            return AESGCM(self._keys.key(header[1])).decrypt(
                header[2:], ciphertext, _bind(header, column, row)
            )
        except InvalidTag:
            raise DecryptionError("the value does not belong here or was changed") from None


def _bind(header: bytes, column: str, row: bytes) -> bytes:
    return header[:2] + column.encode() + b"\0" + row


def blind_index(key: bytes, kind: str, normalized: str) -> bytes:
    """Return the 32-byte HMAC by which an encrypted value is found again; `kind` separates uses."""
    return hmac.digest(key, kind.encode() + b"\0" + normalized.encode(), "sha256")


def parse_key(text: str, size_bytes: int) -> bytes:
    """Read a key written as hex or base64, or raise ValueError without quoting it."""
    with suppress(ValueError):
        if len(key := bytes.fromhex(text)) == size_bytes:
            return key
    with suppress(ValueError):
        if len(key := base64.b64decode(text, validate=True)) == size_bytes:
            return key
    raise ValueError(f"not {size_bytes} bytes as hex or base64")


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a random token (≥ 128 bits, so neither salt nor stretching helps)."""
    return hashlib.sha256(token.encode()).digest()
