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


class Table(Struct, frozen=True):
    """The headers of a file and its rows; None stands for a row that cannot be read."""

    headers: list[str]
    rows: Iterator[list[str] | None]
    encoding: str
    is_guessed: bool


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
                return Table(headers, rows, encoding, is_guessed)
    raise DomainError("import.columns_unknown")


def _rows(content: str, delimiter: str) -> Iterator[list[str] | None]:
    # By itself, as csv.reader must see line breaks as they are.
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    while True:
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
