"""Bytes to text: by byte order mark, by what is declared, then by what fits; guesses are said."""

import codecs
from typing import Final

from core.errors import DomainError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark is the beginning of this one.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHERS: Final = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF-": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3\0": "a database",
    b"\xd0\xcf\x11\xe0": "a document of Microsoft Office",
}
# Codecs of the standard library that are no encodings of text must not be reached by name.
_DECLARABLE: Final = frozenset(
    codecs.lookup(name).name
    for name in (
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1250", "cp1251"),
        *("cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "koi8-r"),
        *("koi8-u", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6"),
        *("iso8859-7", "iso8859-8", "iso8859-9", "iso8859-10", "iso8859-13", "iso8859-14"),
        *("iso8859-15", "shift_jis", "euc-jp", "iso2022_jp", "euc-kr", "gb2312", "gbk"),
        *("gb18030", "big5", "cp932", "cp949", "mac-roman", "cp437", "cp850", "tis-620"),
    )
)
FALLBACK: Final = "windows-1252"


def require_text(data: bytes) -> None:
    """Raise import.not_this_format for what is no file of text, saying what it seems to be."""
    for mark, name in _OTHERS.items():
        if data.startswith(mark):
            raise DomainError("import.not_this_format", f"This is {name}; unpack or export it.")
    if not data.strip():
        raise DomainError("import.empty")


def decode(data: bytes) -> tuple[str, str, bool]:
    """Return a whole file as text, its encoding, and whether that is a guess."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name, False
    if (wide := _wide(data)) is not None:
        return data.decode(wide, "replace"), wide, True
    try:
        return data.decode(), "utf-8", False
    except UnicodeDecodeError:
        return _fallback(data), FALLBACK, True


def narrow(data: bytes) -> tuple[bytes, str]:
    """Return a file in an encoding whose lines can be told apart byte by byte, and which it had.

    Parts of it may be in another one, and say so.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            rest = data[len(mark) :]
            return rest if name == "utf-8" else rest.decode(name, "replace").encode(), name
    wide = _wide(data)
    return (data, "utf-8") if wide is None else (data.decode(wide, "replace").encode(), wide)


def decode_part(data: bytes, declared: str | None = None) -> tuple[str, bool]:
    """Return a value as text, and whether its encoding is a guess.

    What is declared is believed if it is known and fits; else UTF-8 if that fits.
    """
    for name in (_known(declared), "utf-8"):
        if name is not None:
            try:
                return data.decode(name), False
            except ValueError:
                continue
    return _fallback(data), True


def _known(declared: str | None) -> str | None:
    if not declared:
        return None
    try:
        name = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        return None
    return name if name in _DECLARABLE else None


def _wide(data: bytes) -> str | None:
    """Return which UTF-16 a file without a mark is, by where its zeros are."""
    start = data[:512]
    if len(start) < 4 or b"\0" not in start:  # noqa: PLR2004  # two characters say nothing
        return None
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < len(start) // 4:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _fallback(data: bytes) -> str:
    return data.decode(FALLBACK, "replace")
