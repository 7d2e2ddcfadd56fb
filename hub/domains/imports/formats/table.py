"""CSV (RFC 4180 and its many readings): the row of headers is found, never guessed."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from core.errors import DomainError
from hub.domains.imports.formats import text

_DELIMITERS: Final = ",;\t"
# LinkedIn writes notes above its headers.
_PREAMBLE_MAX: Final = 10
_COLUMNS_MAX: Final = 1000
_ROW_MAX_CHARS: Final = 262_144


class Table(Struct, frozen=True):
    """The headers of a file and its rows; None stands for a row that cannot be read."""

    headers: list[str]
    rows: Iterator[list[str] | None]
    encoding: str
    is_guessed: bool
    content: str
    delimiter: str

    def again(self) -> Iterator[list[str]]:
        """Return all that can be read, for a look ahead; what is above the headers, too."""
        return (row for row in _rows(self.content, self.delimiter) if row is not None)


def read(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """Find the row of headers and return what is below it; raises import.columns_unknown."""
    text.require_text(data)
    content, encoding, is_guessed = text.decode(data)
    content = content.replace("\0", "")
    for delimiter in _DELIMITERS:
        rows = _rows(content, delimiter)
        for _, row in zip(range(_PREAMBLE_MAX), rows, strict=False):
            headers = [name.strip() for name in row or ()]
            if len(headers) <= _COLUMNS_MAX and is_header(headers):
                return Table(headers, rows, encoding, is_guessed, content, delimiter)
    raise DomainError("import.columns_unknown")


def _rows(content: str, delimiter: str) -> Iterator[list[str] | None]:
    pieces = _Pieces(content)
    reader = csv.reader(pieces, delimiter=delimiter)
    while True:
        pieces.row_chars = 0
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # A field of more than 128 KiB, as behind a quote that nobody closed.
            yield None
            continue
        if any(cell.strip() for cell in row):
            yield row


class _Pieces:
    """The lines of a file for csv.reader, which collects a row of any length."""

    def __init__(self, content: str) -> None:
        # Line breaks as they are: those within quotes are the cell's.
        self._lines = io.StringIO(content, newline="")
        self.row_chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        piece = next(self._lines)
        self.row_chars += len(piece)
        if self.row_chars > _ROW_MAX_CHARS:
            raise csv.Error
        return piece
