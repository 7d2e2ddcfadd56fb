"""Codes that people read from a card or a screen and type."""

from typing import Final

CARD_BYTES: Final = 8
"""How many random bytes the code on a ring's card has: three groups, 60 bits."""
_GROUP: Final = 4
_BITS: Final = 5
# Crockford's base 32: no I, L, O or U, and whoever reads an I or L means 1, an O means 0.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans({"I": "1", "L": "1", "O": "0", " ": None, "-": None})


def write(random: bytes) -> str:
    """Return random bytes as a code in groups of four; bits short of a symbol are dropped."""
    value = int.from_bytes(random, "big")
    shifts = range(len(random) * 8 - _BITS, -1, -_BITS)
    symbols = "".join(_ALPHABET[value >> shift & 31] for shift in shifts)
    return "-".join(symbols[at : at + _GROUP] for at in range(0, len(symbols), _GROUP))


def normalize(code: str) -> str:
    """Return a code as it is hashed, however it was typed."""
    return code.upper().translate(_READ_AS)
