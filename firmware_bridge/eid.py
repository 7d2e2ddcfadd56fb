"""Rotating identifiers: what a powered ring shows to others, and how the hub finds whose it was.

EIDK = HKDF-SHA256(K_eid, "PING-EIDK", 16); EID_j = AES-128(EIDK, "PING-EID" | 0^4 | j u32 LE), with
j the quarter of an hour since the Unix epoch. The construction is that of Exposure Notification
(Apple and Google, Cryptography Specification 1.2), which differs in its labels and its ten minutes.
"""

from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 16
WINDOW_MS: Final = 900_000
_WINDOW_MAX: Final = (1 << 32) - 1
_LABEL_BYTES: Final = 12


class Labels(msgspec.Struct, frozen=True):
    """What separates one use of the construction from another."""

    key: bytes
    block: bytes


PING: Final = Labels(b"PING-EIDK", b"PING-EID")


def derive(root_key: bytes, labels: Labels = PING) -> bytes:
    """Return the identifier key (EIDK) of a ring's K_eid."""
    return HKDF(SHA256(), KEY_BYTES, None, labels.key).derive(root_key)


def window_of(unix_ms: int) -> int:
    """Return the window that a time is in."""
    return unix_ms // WINDOW_MS


def eid(key: bytes, window: int, labels: Labels = PING) -> bytes:
    """Return the identifier of a window; `key` is what `derive` returned."""
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305  # one block
    return encryptor.update(_block(window, labels))


def open_eid(key: bytes, identifier: bytes, labels: Labels = PING) -> int | None:
    """Return the window of an identifier that was made with this key, else None."""
    decryptor = Cipher(AES(key), ECB()).decryptor()  # noqa: S305  # one block
    block = decryptor.update(identifier)
    if block[:_LABEL_BYTES] != labels.block.ljust(_LABEL_BYTES, b"\0"):
        return None
    return int.from_bytes(block[_LABEL_BYTES:], "little")


def _block(window: int, labels: Labels) -> bytes:
    if not 0 <= window <= _WINDOW_MAX:
        raise ValueError("a window is a u32")
    return labels.block.ljust(_LABEL_BYTES, b"\0") + window.to_bytes(4, "little")
