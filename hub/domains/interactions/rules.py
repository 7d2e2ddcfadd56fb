"""Pure rules of interactions: when one can have been, and where words stand in a text."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hub.domains.interactions.schemas import Highlight, HighlightField, Piece

EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Between them a time has a year in every zone; the table holds no other."""
PASSAGES_MAX: Final = 3
"""Of one text."""
_AROUND_CHARS: Final = 60
_PASSAGE_CHARS: Final = 400
# Those that turn or join writing, which are copied along unseen.
_MARKS: Final = "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_WORD: Final = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
_NOT_PLAIN: Final = re.compile(f"[\u0300-\u036f{_MARKS}]")
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
    return frozenset(plain(found[0]) for found in _WORD.finditer(asked)) - {"", "or"}


def plain(text: str) -> str:
    """Return a text without cases, accents and unseen marks, as the table's words are."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return _NOT_PLAIN.sub("", decomposed).lower()


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
        if plain(found[0]) in words:
            yield found.span()


def _pieces(text: str, passage: _Passage) -> list[Piece]:
    pieces: list[Piece] = []
    at = passage.start
    for start, end in passage.spans:
        pieces += [Piece(text[at:start], is_match=False), Piece(text[start:end], is_match=True)]
        at = end
    pieces.append(Piece(text[at : passage.end], is_match=False))
    return [piece for piece in pieces if piece.text]
