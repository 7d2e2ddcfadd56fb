"""Cryptography at rest: AES-256-GCM for fields, HMAC-SHA256 for blind indexes, SHA-256 for tokens.

A sealed value is `version(1) || key || nonce(12) || ciphertext || tag(16)`. Version 2 names a data
key by four bytes; version 1, of before there were any, a key of the ring by one. The associated
data binds it to its key, column and row: a ciphertext copied into another row does not open.
"""

import base64
import hashlib
import hmac
import os
from contextlib import suppress
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.blind_indexes import BlindIndexes
from core.data_keys import ID_BYTES, DataKeys, UnknownKeyError
from core.sealed_columns import SCOPES

KEY_BYTES: Final = 32
RING_VERSION: Final = 1
DATA_KEY_VERSION: Final = 2
_KEY_ID_BYTES: Final = {RING_VERSION: 1, DATA_KEY_VERSION: ID_BYTES}
_NONCE_BYTES: Final = 12
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
    """Seals and opens single values of rows.

    Without data keys the ring itself seals, as releases before them did. Raises
    `service.unavailable` while a data key is away.
    """

    def __init__(self, ring: KeyRing | None, data_keys: DataKeys | None = None) -> None:
        if ring is None and data_keys is None:
            raise ValueError("a cipher needs a ring or data keys")
        self.ring = ring
        self.data_keys = data_keys
        self.indexes = BlindIndexes(data_keys)
        self._ring_keys: dict[int, AESGCM] = {}

    def seal(self, plaintext: bytes, *, column: str, row: bytes) -> bytes:
        """Encrypt for `column` ("users.email") of the row with the id bytes `row`."""
        nonce = os.urandom(_NONCE_BYTES)
        mark, key = self._sealing(column)
        return mark + nonce + key.encrypt(nonce, plaintext, _bind(mark, column, row))

    def open(self, sealed: bytes, *, column: str, row: bytes) -> bytes:
        """Decrypt a value sealed for the same column and row, or raise DecryptionError."""
        mark = key_mark(sealed)
        begin = len(mark) + _NONCE_BYTES
        if not mark or len(sealed) < begin + _TAG_BYTES:
            raise DecryptionError("not a sealed value")
        key = self._opening(mark)
        try:
            return key.decrypt(sealed[len(mark) : begin], sealed[begin:], _bind(mark, column, row))
        except InvalidTag:
            raise DecryptionError("the value does not belong here or was changed") from None

    def sealing_mark(self, column: str) -> bytes:
        """Return how values begin that are sealed for this column now."""
        return self._sealing(column)[0]

    def _sealing(self, column: str) -> tuple[bytes, AESGCM]:
        if self.data_keys is not None:
            data_key = self.data_keys.sealing(SCOPES[column])
            return bytes((DATA_KEY_VERSION,)) + data_key.id.to_bytes(ID_BYTES), data_key.cipher
        number = self.ring.current if self.ring is not None else 0
        return bytes((RING_VERSION, number)), self._ring_key(number)

    def _opening(self, mark: bytes) -> AESGCM:
        if mark[0] == RING_VERSION:
            return self._ring_key(mark[1])
        if self.data_keys is None:
            raise DecryptionError("sealed with a data key, and none are here")
        try:
            return self.data_keys.opening(int.from_bytes(mark[1:])).cipher
        except UnknownKeyError:
            raise DecryptionError("sealed with an unknown data key") from None

    def _ring_key(self, number: int) -> AESGCM:
        known = self._ring_keys.get(number)
        if known is None:
            if self.ring is None:
                raise DecryptionError(f"key {number} is not on the ring")
            known = self._ring_keys[number] = AESGCM(self.ring.key(number))
        return known


def key_mark(sealed: bytes) -> bytes:
    """Return the part of a sealed value that names its key; empty: not a sealed value."""
    size = 1 + _KEY_ID_BYTES.get(sealed[0], 0) if sealed else 0
    return sealed[:size] if 1 < size <= len(sealed) else b""


class Keys(msgspec.Struct, frozen=True):
    """What seals fields of people, and what is found by their blind indexes."""

    cipher: FieldCipher
    index_key: bytes


class KeyWrap:
    """Wraps data keys by the keys of a ring; for each its own derivation, as they also seal."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self.current = ring.current

    def wrap(self, key: bytes, bound_to: bytes) -> bytes:
        """Encrypt a key with the highest number of the ring."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._key(self.current).encrypt(nonce, key, bound_to)

    def unwrap(self, wrapped: bytes, number: int, bound_to: bytes) -> bytes:
        """Decrypt a key wrapped by key `number`, or raise DecryptionError."""
        if len(wrapped) < _NONCE_BYTES + _TAG_BYTES:
            raise DecryptionError("not a wrapped key")
        nonce, rest = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return self._key(number).decrypt(nonce, rest, bound_to)
        except InvalidTag:
            raise DecryptionError("wrapped by another key, or changed") from None

    def _key(self, number: int) -> AESGCM:
        derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"pinghub key encryption")
        return AESGCM(derivation.derive(self._ring.key(number)))


def _bind(mark: bytes, column: str, row: bytes) -> bytes:
    return mark + column.encode() + b"\0" + row


def blind_index(key: bytes, kind: str, normalized: str) -> bytes:
    """Return the 32-byte HMAC by which an encrypted value is found again; `kind` separates uses.

    Columns hold the forms of `core.blind_indexes`.
    """
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
