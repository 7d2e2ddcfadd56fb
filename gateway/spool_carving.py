"""Rows out of a damaged SQLite file, without SQLite: what stands on a whole page can be read.

File format: https://sqlite.org/fileformat2.html, sections 1.6 (leaf pages), 2.1 (records) and 4.1
(the write-ahead log). Pages that were freed give rows that were deleted long ago; to whom a row may
come twice, that is no harm.
"""

import mmap
import struct
from array import array
from collections.abc import Iterator
from typing import Any, Final

PAGE_BYTES: Final = 4096
_LEAF: Final = 0x0D
_LEAF_HEADER_BYTES: Final = 8
_FILE_HEADER_BYTES: Final = 100
_LOG_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24
_FRAME_BYTES: Final = _FRAME_HEADER_BYTES + PAGE_BYTES
_LOG_MAGIC: Final = 0x377F0682
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
_TYPE_ZERO: Final = 8
_TYPE_ONE: Final = 9
_TYPE_VARIABLE: Final = 12
_WORD: Final = 0xFFFFFFFF

Bytes = bytes | mmap.mmap
Record = tuple[int, list[Any]]
"""A row's id and its columns."""


def records(file: Bytes, write_ahead_log: Bytes) -> Iterator[Record]:
    """Return every row that stands whole on a page of either, the log's latest last."""
    for start in range(0, len(file), PAGE_BYTES):
        page = file[start : start + PAGE_BYTES]
        yield from _rows_of(page, _FILE_HEADER_BYTES if start == 0 else 0)
    for start in range(_LOG_HEADER_BYTES, len(write_ahead_log), _FRAME_BYTES):
        frame = write_ahead_log[start : start + _FRAME_BYTES]
        number = int.from_bytes(frame[:4], "big")
        yield from _rows_of(frame[_FRAME_HEADER_BYTES:], _FILE_HEADER_BYTES if number == 1 else 0)


def is_cut(write_ahead_log: Bytes) -> bool:
    """Tell whether the log has commits behind a damage, which SQLite would pass over in silence.

    A last transaction that was not written to its end is no damage: nobody was told of it.
    """
    if len(write_ahead_log) < _LOG_HEADER_BYTES + _FRAME_BYTES:
        return False
    magic, _, _, _, *salts, first, second = struct.unpack_from(">8I", write_ahead_log)
    if magic & ~1 != _LOG_MAGIC:
        return True
    is_big = bool(magic & 1)
    sums = _checksum(write_ahead_log[: _LOG_HEADER_BYTES - 8], is_big, 0, 0)
    if sums != (first, second):
        return True
    is_whole = True
    for start in range(_LOG_HEADER_BYTES, len(write_ahead_log) - _FRAME_BYTES + 1, _FRAME_BYTES):
        _, pages_after, *own_salts, first, second = struct.unpack_from(
            ">6I", write_ahead_log, start
        )
        if is_whole:
            sums = _checksum(write_ahead_log[start : start + 8], is_big, *sums)
            body = write_ahead_log[start + _FRAME_HEADER_BYTES : start + _FRAME_BYTES]
            sums = _checksum(body, is_big, *sums)
            is_whole = own_salts == salts and sums == (first, second)
        elif own_salts == salts and pages_after:
            return True
    return False


def _checksum(data: bytes, is_big: bool, first: int, second: int) -> tuple[int, int]:
    words = array("I", data)
    if is_big != (struct.pack("=I", 1) == struct.pack(">I", 1)):
        words.byteswap()
    numbers = iter(words)
    for even in numbers:
        first = (first + even + second) & _WORD
        second = (second + next(numbers) + first) & _WORD
    return first, second


def _rows_of(page: bytes, start: int) -> Iterator[Record]:
    if len(page) < PAGE_BYTES or page[start] != _LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    pointers = start + _LEAF_HEADER_BYTES
    for at in range(pointers, min(pointers + 2 * count, PAGE_BYTES - 1), 2):
        try:
            yield _row_at(page, int.from_bytes(page[at : at + 2], "big"))
        except (IndexError, ValueError):
            continue  # noise, or a row that continues on another page


def _row_at(page: bytes, offset: int) -> Record:
    length, offset = _varint(page, offset)
    row_id, offset = _varint(page, offset)
    if offset + length > PAGE_BYTES:
        raise ValueError("the row goes on elsewhere")
    header_bytes, at = _varint(page, offset)
    types: list[int] = []
    while at < offset + header_bytes:
        kind, at = _varint(page, at)
        types.append(kind)
    columns: list[Any] = []
    for kind in types:
        column, at = _column(page, at, kind)
        columns.append(column)
    if at != offset + length:
        raise ValueError("the row is not as long as it says")
    return row_id, columns


def _column(page: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind >= _TYPE_VARIABLE:
        size = (kind - _TYPE_VARIABLE) // 2
        value = page[at : at + size]
        return (value.decode() if kind % 2 else value), at + size
    if kind in (_TYPE_ZERO, _TYPE_ONE):
        return kind - _TYPE_ZERO, at
    size = _INTEGER_BYTES[kind]  # floating point and reserved types are in none of our tables
    return (int.from_bytes(page[at : at + size], "big", signed=True) if size else None), at + size


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = page[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004  # the bit that says: more follow
            return value, at
    return value << 8 | page[at], at + 1
