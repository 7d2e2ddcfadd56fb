"""LRP, NXP's Leakage Resilient Primitive on AES-128 (AN12304): evaluation, LRICB and CMAC.

Inputs are read as nibbles, most significant first. One evaluation costs one AES per nibble, each
under another key; that is what denies a side channel its repetitions. This side has none to fear:
it is a verifier's, not a tag's.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

BLOCK: Final = 16
_PLAINTEXTS: Final = 16
_ZEROS: Final = bytes(BLOCK)
_UPPER: Final = b"\x55" * BLOCK
_LOWER: Final = b"\xaa" * BLOCK


class LrpKey(msgspec.Struct, frozen=True):
    """What is computed once from a key: its 16 secret plaintexts and one updated key."""

    plaintexts: tuple[bytes, ...]
    updated: bytes


def expand(key: bytes, update: int = 0) -> LrpKey:
    """Return the plaintexts of a key and its updated key of this number (algorithms 1 and 2)."""
    return LrpKey(tuple(_lower_chain(_encrypt(key, _UPPER), _PLAINTEXTS)), updated_key(key, update))


def updated_key(key: bytes, number: int) -> bytes:
    """Return an updated key, counted from 0 (algorithm 2)."""
    *_, last = _lower_chain(_encrypt(key, _LOWER), number + 1)
    return last


def evaluate(key: LrpKey, nibbles: Iterable[int], *, final: bool = True) -> bytes:
    """Return the pseudorandom function of the nibbles (algorithm 3)."""
    state = key.updated
    for nibble in nibbles:
        state = _encrypt(state, key.plaintexts[nibble])
    return _encrypt(state, _ZEROS) if final else state


def encrypt(key: LrpKey, counter: bytes, plaintext: bytes) -> bytes:
    """Return LRICB of whole blocks; the counter (big-endian, wraps) is that of the first one."""
    return b"".join(
        _encrypt(pad, block) for pad, block in _pads(key, counter, plaintext, "plaintext")
    )


def decrypt(key: LrpKey, counter: bytes, ciphertext: bytes) -> bytes:
    """Undo `encrypt`."""
    return b"".join(
        _decrypt(pad, block) for pad, block in _pads(key, counter, ciphertext, "ciphertext")
    )


def cmac(key: LrpKey, message: bytes) -> bytes:
    """Return CMAC (NIST SP 800-38B) with the evaluation in place of the block cipher."""
    first = double(evaluate(key, to_nibbles(_ZEROS)))
    whole = bool(message) and len(message) % BLOCK == 0
    padded = (
        message if whole else (message + b"\x80").ljust(-(-(len(message) + 1) // BLOCK) * 16, b"\0")
    )
    state = _ZEROS
    for at in range(0, len(padded) - BLOCK, BLOCK):
        state = evaluate(key, to_nibbles(_xor(state, padded[at : at + BLOCK])))
    last = _xor(padded[-BLOCK:], first if whole else double(first))
    return evaluate(key, to_nibbles(_xor(state, last)))


def double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128), as CMAC's subkeys are made (NIST SP 800-38B, 6.1)."""
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value = value & (1 << 128) - 1 ^ 0x87
    return value.to_bytes(BLOCK, "big")


def to_nibbles(data: bytes) -> Iterator[int]:
    """Return the halves of bytes, the most significant first."""
    for byte in data:
        yield byte >> 4
        yield byte & 0xF


def _lower_chain(state: bytes, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield _encrypt(state, _LOWER)
        state = _encrypt(state, _UPPER)


def _pads(key: LrpKey, counter: bytes, data: bytes, what: str) -> Iterator[tuple[bytes, bytes]]:
    if not data or len(data) % BLOCK:
        raise ValueError(f"the {what} has whole blocks of {BLOCK} bytes")
    start = int.from_bytes(counter, "big")
    for number, at in enumerate(range(0, len(data), BLOCK)):
        value = (start + number) % (1 << 8 * len(counter))
        nibbles = to_nibbles(value.to_bytes(len(counter), "big"))
        yield evaluate(key, nibbles), data[at : at + BLOCK]


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(BLOCK, "big")


def _encrypt(key: bytes, block: bytes) -> bytes:
    return Cipher(AES(key), ECB()).encryptor().update(block)  # noqa: S305  # one block: AN12304


def _decrypt(key: bytes, block: bytes) -> bytes:
    return Cipher(AES(key), ECB()).decryptor().update(block)  # noqa: S305  # same
