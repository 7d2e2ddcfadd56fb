"""Codes and due dates: what the slice decides without asking anybody."""

from typing import Final

CODE_BYTES: Final = 10
_GROUP: Final = 4
_BITS: Final = 5
# Crockford's base 32: no I, L, O or U, and whoever reads an I or L means 1, an O means 0.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans({"I": "1", "L": "1", "O": "0", " ": None, "-": None})


def write_code(random: bytes) -> str:
    """Return a claim code for 10 random bytes, in four groups of four to be typed by people."""
    value = int.from_bytes(random, "big")
    symbols = "".join(
        _ALPHABET[value >> shift & 31] for shift in range(len(random) * 8 - _BITS, -1, -_BITS)
    )
    return "-".join(symbols[at : at + _GROUP] for at in range(0, len(symbols), _GROUP))


def normalize_code(code: str) -> str:
    """Return a claim code as it is hashed, however it was typed."""
    return code.upper().translate(_READ_AS)
