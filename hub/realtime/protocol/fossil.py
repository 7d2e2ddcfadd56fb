"""Patches in the delta format of the Fossil version control system.

A patch is the length of the target, a line feed, then commands: `{n}@{offset},` copies from the
source, `{n}:` inserts the n bytes that follow it; at the end the target's checksum and `;`. Numbers
are in base 64 with digits in the order of ASCII.

The work is linear in the sizes, whatever the content: one candidate per block, a search whose steps
grow while nothing is found, and an end to the number of copies.
"""

from collections.abc import Iterator
from struct import unpack
from typing import Final

_DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_BLOCK_BYTES: Final = 16
# Shorter copies cost as much as the bytes themselves.
_COPY_MIN_BYTES: Final = 10
_COPIES_MAX: Final = 256
_PATIENCE_BYTES: Final = 64
_CONTINUATION: Final = range(0x80, 0xC0)
_CONTINUATIONS_MAX: Final = 3

_Copy = tuple[int, int, int]
"""Where in the target, where in the source, how many bytes."""


def patch(source: bytes, target: bytes) -> bytes | None:
    """Return a patch that is smaller than the target, or None.

    What a patch of UTF-8 text inserts is UTF-8, too.
    """
    parts = [_number(len(target)), b"\n"]
    done = 0
    for place, offset, length in _aligned(_copies(source, target), target):
        if place > done:
            parts += (_number(place - done), b":", target[done:place])
        parts += (_number(length), b"@", _number(offset), b",")
        done = place + length
    if done < len(target):
        parts += (_number(len(target) - done), b":", target[done:])
    parts += (_number(checksum(target)), b";")
    result = b"".join(parts)
    return result if len(result) < len(target) else None


def checksum(data: bytes) -> int:
    """Return the sum of the data's big-endian words of 32 bits, zeros at its end."""
    words = -(-len(data) // 4)
    return sum(unpack(f">{words}I", data.ljust(words * 4, b"\0"))) & 0xFFFFFFFF


def _copies(source: bytes, target: bytes) -> Iterator[_Copy]:
    """Find what the target has in common with the source, in the target's order."""
    head = _same(source, 0, target, 0)
    if head:
        yield 0, 0, head
    shorter = min(len(source), len(target))
    tail = min(_same(source[::-1], 0, target[::-1], 0), shorter - head)
    end = len(target) - tail
    if end - head >= _BLOCK_BYTES:
        yield from _moved(source, target, head, end)
    if tail:
        yield end, len(source) - tail, tail


def _moved(source: bytes, target: bytes, start: int, end: int) -> Iterator[_Copy]:
    """Find copies inside a part of the target, from anywhere in the source."""
    blocks = {
        source[offset : offset + _BLOCK_BYTES]: offset
        # Backwards, so that the first of equal blocks counts: most can follow it.
        for offset in range((len(source) // _BLOCK_BYTES - 1) * _BLOCK_BYTES, -1, -_BLOCK_BYTES)
    }
    at = start
    found = 0
    while at + _BLOCK_BYTES <= end and found < _COPIES_MAX:
        offset = blocks.get(target[at : at + _BLOCK_BYTES])
        if offset is None:
            # Odd steps, so that they meet the source's blocks at every alignment.
            at += 1 + 2 * ((at - start) // _PATIENCE_BYTES)
            continue
        length = min(_same(source, offset, target, at), end - at)
        while at > start and offset and source[offset - 1] == target[at - 1]:
            at, offset, length = at - 1, offset - 1, length + 1
        yield at, offset, length
        found += 1
        start = at = at + length


def _aligned(copies: Iterator[_Copy], target: bytes) -> Iterator[_Copy]:
    """Shorten copies to whole UTF-8 characters, and leave out those too short to be worth it."""
    for place, offset, length in copies:
        begin = _boundary(target, place, 1)
        end = _boundary(target, place + length, -1)
        if end - begin >= _COPY_MIN_BYTES:
            yield begin, offset + begin - place, end - begin


def _boundary(target: bytes, place: int, step: int) -> int:
    """Return the next place where a character begins; in data that is no text, any place near."""
    for _ in range(_CONTINUATIONS_MAX):
        if place >= len(target) or target[place] not in _CONTINUATION:
            break
        place += step
    return place


def _same(left: bytes, left_at: int, right: bytes, right_at: int) -> int:
    """Return how many bytes are equal from two places on."""
    length = 0
    size = _BLOCK_BYTES
    growing = True
    while size:
        part = left[left_at + length : left_at + length + size]
        if part and part == right[right_at + length : right_at + length + size]:
            length += len(part)
        else:
            growing = False
        size = size * 2 if growing else size // 2
    return length


def _number(value: int) -> bytes:
    digits = bytearray()
    while value:
        digits.append(_DIGITS[value & 63])
        value >>= 6
    digits.reverse()
    return bytes(digits) or b"0"
