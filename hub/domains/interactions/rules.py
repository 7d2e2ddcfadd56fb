"""Pure rules of interactions: when one can have been, and where words stand in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from core.plain_text import UNSEEN, plain_text
from hub.domains.interactions.schemas import Highlight, HighlightField, Piece

EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Between them a time has a year in every zone; the table holds no other."""
PASSAGES_MAX: Final = 3
"""Of one text."""
_AROUND_CHARS: Final = 60
_PASSAGE_CHARS: Final = 400
_WORD: Final = re.compile(rf"(?:[^\W_]|[{UNSEEN}])+")
_WITHOUT: Final = re.compile(r'(?:^|\s)-(?:"[^"]*"?|\S+)')


@dataclass
class _Passage:
    start: int
    end: int
    spans: list[tuple[int, int]]


def clamped(at: datetime) -> datetime:
    """Return a time, or the end of the calendar beyond which it is."""
    return min(max(at, EARLIEST), LATEST)


def words_of(wanted: str) -> frozenset[str]:
    """Return the words that a search asks for, plain; what it asks to be without is left out."""
    asked = _WITHOUT.sub(" ", wanted)
    return frozenset(plain_text(found[0]) for found in _WORD.finditer(asked)) - {"", "or"}


def highlight(field: HighlightField, text: str | None, words: frozenset[str]) -> list[Highlight]:
    """Return the first passages of a text in which words stand, each with what is around them.

    Passages do not overlap, and none is longer than a few lines.
    """
    passages: list[_Passage] = []
    for start, end in _matches(text or "", words):
        last = passages[-1] if passages else None
        if last is not None and start - _AROUND_CHARS <= last.end:
            if end - last.start <= _PASSAGE_CHARS:
                last.spans.append((start, end))
                last.end = end + _AROUND_CHARS
                continue
            last.end = min(last.end, start)
        if len(passages) == PASSAGES_MAX:
            break
        begin = max(start - _AROUND_CHARS, last.end if last else 0)
        passages.append(_Passage(begin, end + _AROUND_CHARS, [(start, end)]))
    return [Highlight(field, _pieces(text or "", passage)) for passage in passages]


def _matches(text: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    for found in _WORD.finditer(text):
        if plain_text(found[0]) in words:
            yield found.span()


def _pieces(text: str, passage: _Passage) -> list[Piece]:
    pieces: list[Piece] = []
    at = passage.start
    for start, end in passage.spans:
        pieces += [Piece(text[at:start], is_match=False), Piece(text[start:end], is_match=True)]
        at = end
    pieces.append(Piece(text[at : passage.end], is_match=False))
    return [piece for piece in pieces if piece.text]
