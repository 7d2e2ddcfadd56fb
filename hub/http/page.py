"""Keyset pages: `{items, next_cursor, has_more}` and opaque cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from core.errors import DomainError

Item = TypeVar("Item")
Key = TypeVar("Key", bound=tuple[Any, ...])

_CURSOR_MAX_CHARS: Final = 512


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None
    has_more: bool


def paginate(
    rows: Sequence[Item], limit: int, listing: str, key: Callable[[Item], tuple[Any, ...]]
) -> Page[Item]:
    """Cut `limit + 1` fetched rows to a page of the list named `listing`."""
    items = list(rows[:limit])
    has_more = len(rows) > limit
    next_cursor = encode_cursor(listing, key(items[-1])) if has_more else None
    return Page(items=items, next_cursor=next_cursor, has_more=has_more)


def encode_cursor(listing: str, key: tuple[Any, ...]) -> str:
    """Return a position in a list as an opaque text."""
    packed = msgspec.msgpack.encode([listing, *key])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, listing: str, kind: type[Key]) -> Key | None:
    """Return the position that a cursor of the list `listing` stands for, or raise."""
    if cursor is None:
        return None
    try:
        values = _unpack(cursor)
        # A position of another list would start this one at a place without meaning.
        if values[:1] != [listing]:
            raise DomainError("request.cursor_invalid")
        return msgspec.convert(values[1:], kind, strict=False)
    except (ValueError, binascii.Error, msgspec.MsgspecError, OverflowError):
        raise DomainError("request.cursor_invalid") from None


def _unpack(cursor: str) -> list[Any]:
    if len(cursor) > _CURSOR_MAX_CHARS:
        raise ValueError("a cursor is short")
    padded = cursor + "=" * (-len(cursor) % 4)
    packed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    return msgspec.msgpack.decode(packed, type=list[Any])
