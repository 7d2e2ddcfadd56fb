"""vCard 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350): each card by itself, pictures and sounds ignored."""

import re
from collections.abc import Iterator
from typing import Final

from core.errors import DomainError
from hub.domains.contacts.schemas import MethodKind
from hub.domains.imports.formats import lines, people, text
from hub.domains.imports.formats.found import (
    Entry,
    Options,
    Reading,
    RemarkCode,
    RowProblem,
    failed,
)
from hub.domains.imports.formats.lines import Line
from hub.domains.imports.formats.people import Person

_METHODS: Final[dict[str, MethodKind]] = {
    "TEL": "phone",
    "EMAIL": "email",
    "URL": "url",
    "X-SOCIALPROFILE": "url",
    "X-TWITTER": "twitter",
    "X-LINKEDIN": "linkedin",
}
# Types that say how, and not where: no labels.
_NOT_LABELS: Final = frozenset({"pref", "internet", "voice", "text", "video", "x400", ""})
_CITY, _REGION, _COUNTRY = 3, 4, 6
# RFC 6350, 6.1.4, and Apple's name of it: groups, rooms and devices are nobody.
_KINDS: Final = frozenset({"KIND", "X-ADDRESSBOOKSERVER-KIND"})
_PEOPLE: Final = frozenset({"", "individual", "org"})
_LAST: Final = 101
# Apple writes labels of its own as `_$!<Mobile>!$_`.
_OWN_LABEL: Final = re.compile(r"^_\$!<(.*)>!\$_$")


def read(data: bytes, options: Options) -> Reading:
    """Read cards; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    narrowed, encoding = text.narrow(data)
    if b"BEGIN:VCARD" not in narrowed[:65_536].upper():
        raise DomainError("import.not_this_format", "No card begins in it (`BEGIN:VCARD`).")
    remarks: set[RemarkCode] = set()
    return Reading(_entries(narrowed, remarks), encoding, remarks)


def _entries(data: bytes, remarks: set[RemarkCode]) -> Iterator[Entry]:
    card: list[bytes] | None = None
    depth = 0
    last = b""
    for raw in lines.logical_lines(data):
        mark = raw.strip().upper()
        if mark == b"BEGIN:VCARD":
            # A card within AGENT is of somebody else, and of vCard 2.1 only.
            if card is not None and last.startswith(b"AGENT"):
                depth += 1
            else:
                if card is not None:
                    yield failed("unfinished")
                card, depth = [], 0
        elif mark == b"END:VCARD":
            if depth:
                depth -= 1
            elif card is not None:
                yield _card(card, remarks)
                card = None
        elif card is not None and not depth and len(card) <= lines.LINES_MAX:
            card.append(raw)
        last = mark
    if card is not None:
        yield failed("unfinished")


def _card(raw_lines: list[bytes], remarks: set[RemarkCode]) -> Entry:
    if len(raw_lines) > lines.LINES_MAX:
        return failed("too_many", "lines")
    person = Person("import")
    kept: list[Line] = []
    for raw in raw_lines:
        found = lines.parse(raw)
        if found is None:
            person.problems.append(RowProblem("unreadable", "line"))
            continue
        if found.is_guessed:
            remarks.add("encoding_guessed")
        if len(raw) <= lines.LINE_MAX_BYTES:
            kept.append(found)
        elif found.name in {"NOTE", "FN", "N"}:
            # Of pictures nothing is kept anyway.
            person.problems.append(RowProblem("too_long", found.name.lower()))
    if any(item.name in _KINDS and item.value.strip().lower() not in _PEOPLE for item in kept):
        return failed("not_a_person", "KIND")
    labels = {item.group: _words_of(item.value) for item in kept if item.name == "X-ABLABEL"}
    preferred: list[tuple[int, tuple[MethodKind, str, str]]] = []
    for found in kept:
        known = len(person.methods)
        _take(person, found, labels.get(found.group, "") if found.group else "")
        preferred += [(_preference(found), method) for method in person.methods[known:]]
    preferred.sort(key=lambda item: item[0])
    person.methods = list(dict.fromkeys(method for _, method in preferred))
    return people.entry(person)


def _take(person: Person, found: Line, label: str) -> None:  # noqa: C901, PLR0912  # one arm per property
    value = found.value
    match found.name:
        case "FN":
            person.full_name = person.full_name or lines.unescaped(value)
        case "N":
            family, given, middle, *_rest = [*lines.components(value), "", "", ""]
            if not (person.first_name or person.last_name):
                # What stands behind it is the same in another language or script (ALTID).
                person.last_name, person.first_name, person.middle_name = family, given, middle
        case "NICKNAME":
            person.nickname = person.nickname or lines.components(value, ",")[0]
        case "ORG":
            person.company = person.company or lines.components(value)[0]
        case "TITLE":
            person.job_title = person.job_title or lines.unescaped(value)
        case "NOTE":
            person.notes = "\n".join(filter(None, (person.notes, lines.unescaped(value))))
        case "BDAY":
            person.birthday = person.birthday or value
        case "CATEGORIES":
            person.tags += lines.components(value, ",")
        case "ADR":
            parts = [*lines.components(value), *[""] * 7]
            place = ", ".join(filter(None, (parts[_CITY], parts[_REGION], parts[_COUNTRY])))
            person.location = person.location or place
        case "X-PINGHUB-LINKEDIN-URL":
            person.linkedin_url = value.strip()
        case "X-PINGHUB-BIO":
            person.bio = lines.unescaped(value)
        case name if name in _METHODS:
            person.add(_METHODS[name], _address(value), label or _label(found))
        case _:
            pass


def _address(value: str) -> str:
    """Return an address without the scheme that vCard 4 writes before it."""
    shown = lines.unescaped(value).strip()
    scheme, _, rest = shown.partition(":")
    return rest if scheme.lower() in {"tel", "mailto", "sms"} else shown


def _preference(found: Line) -> int:
    """Return 1 for what is to be used first, to 101 where nothing is said (RFC 6350, 5.3)."""
    if "pref" in found.types():
        return 1
    written = found.first("PREF")
    return int(written) if re.fullmatch("[1-9][0-9]?|100", written) else _LAST


def _words_of(label: str) -> str:
    shown = lines.unescaped(label)
    own = _OWN_LABEL.match(shown)
    return own[1].lower() if own else shown


def _label(found: Line) -> str:
    if label := found.first("X-LABEL"):
        return label
    words = [*found.params.get("TYPE", ()), *found.params.get("", ())]
    return next((word.lower() for word in words if word.lower() not in _NOT_LABELS), "")
