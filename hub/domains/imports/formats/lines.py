"""Content lines of vCard and iCalendar: `NAME;PARAM=value:value` (RFC 6350, 3; RFC 5545, 3.1).

One pass over each line, whatever is in it: the patterns of vobject 0.9.9 take seconds for thirty
commas between parameters, and an import is written by whoever sent the card.
"""

import quopri
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from hub.domains.imports.formats import text

_PHYSICAL: Final = re.compile(rb"[^\r\n]+")
LINES_MAX: Final = 10_000
"""Of a card or an event; what has more is none."""
LINE_MAX_BYTES: Final = 65_536
"""Of a logical line whose value is kept; pictures are longer, and are left out."""


class Line(Struct, frozen=True):
    """A content line; names of properties and parameters in upper case, the value still escaped.

    Lines of one `group`, which may be empty, belong together: `item1.TEL` and `item1.X-ABLABEL`.
    """

    name: str
    params: Mapping[str, tuple[str, ...]]
    value: str
    is_guessed: bool = False
    group: str = ""

    def first(self, name: str) -> str:
        """Return the first value of a parameter, empty if there is none."""
        return self.params.get(name, ("",))[0]

    def types(self) -> set[str]:
        """Return the TYPE parameters in lower case; vCard 2.1 writes them without a name."""
        return {item.lower() for item in (*self.params.get("TYPE", ()), *self.params.get("", ()))}


def logical_lines(data: bytes) -> Iterator[bytes]:
    """Unfold lines, also those that quoted-printable breaks; those that are too long are cut."""
    parts: list[bytes] = []
    size = 0
    is_soft = is_quoted = False
    for raw in _physical(data):
        if is_soft or (parts and raw[:1] in {b" ", b"\t"}):
            piece = raw if is_soft else raw[1:]
            if is_soft:
                parts[-1] = parts[-1].removesuffix(b"=")
        else:
            if parts:
                yield b"".join(parts)
            parts, size, piece = [], 0, raw
            is_quoted = b"QUOTED-PRINTABLE" in raw[:LINE_MAX_BYTES].upper()
        if size <= LINE_MAX_BYTES:
            parts.append(piece)
            size += len(piece)
        is_soft = is_quoted and raw.endswith(b"=")
    if parts:
        yield b"".join(parts)


def parse(raw: bytes) -> Line | None:
    """Return a line, or None for what is none."""
    end = _end_of_head(raw)
    if end < 0:
        return None
    name, *params = _split(raw[:end].decode("latin-1"), ";")
    group, _, name = name.rpartition(".")
    name = name.strip().upper()
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        return None
    found = _params(params)
    value = raw[end + 1 :]
    if _is_quoted_printable(found):
        value = quopri.decodestring(value)
    shown, is_guessed = text.decode_part(value, found.get("CHARSET", ("",))[0])
    return Line(name, found, shown, is_guessed, group.strip().upper())


def unescaped(value: str) -> str:
    """Return a text value as it is meant (RFC 6350, 3.4)."""
    if "\\" not in value:
        return value
    parts: list[str] = []
    chars = iter(value)
    for char in chars:
        if char == "\\":
            following = next(chars, "\\")
            parts.append("\n" if following in "nN" else following)
        else:
            parts.append(char)
    return "".join(parts)


def components(value: str, separator: str = ";") -> list[str]:
    """Return the parts of a structured or listed value, unescaped."""
    parts: list[str] = []
    begin = at = 0
    while at < len(value):
        if value[at] == "\\":
            at += 1
        elif value[at] == separator:
            parts.append(value[begin:at])
            begin = at + 1
        at += 1
    parts.append(value[begin:])
    return [unescaped(part).strip() for part in parts]


def _physical(data: bytes) -> Iterator[bytes]:
    # Not splitlines, which takes other control characters for ends as well, and all lines at once.
    for match in _PHYSICAL.finditer(data):
        yield match[0]


def _end_of_head(raw: bytes) -> int:
    """Return where the value begins: at the first colon outside of quotes, else the first."""
    quoted = False
    for at, byte in enumerate(raw[:LINE_MAX_BYTES]):
        if byte == 0x22:  # noqa: PLR2004  # a quote
            quoted = not quoted
        elif byte == 0x3A and not quoted:  # noqa: PLR2004  # a colon
            return at
    return raw.find(b":") if quoted else -1


def _split(head: str, separator: str) -> list[str]:
    if '"' not in head:
        return head.split(separator)
    parts: list[str] = []
    begin, quoted = 0, False
    for at, char in enumerate(head):
        if char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(head[begin:at])
            begin = at + 1
    parts.append(head[begin:])
    return parts


def _params(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in texts:
        name, equals, values = item.partition("=")
        if not equals:
            name, values = "", item
        name = name.strip().upper()
        if name == "TYPE":
            # vCard 4 also writes a list of types within quotes.
            values = values.replace('"', "")
        parts = tuple(part.strip().strip('"') for part in _split(values, ","))
        found[name] = found.get(name, ()) + parts
    return found


def _is_quoted_printable(params: Mapping[str, tuple[str, ...]]) -> bool:
    named = (*params.get("ENCODING", ()), *params.get("", ()))
    return any(item.upper() == "QUOTED-PRINTABLE" for item in named)
