"""vCard 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350): each card by itself, pictures and sounds ignored."""

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


def read(data: bytes, options: Options) -> Reading:
    """Read cards; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    narrowed = text.narrow(data)
    if b"BEGIN:VCARD" not in narrowed[:65_536].upper():
        raise DomainError("import.not_this_format", "No card begins in it (`BEGIN:VCARD`).")
    remarks: set[RemarkCode] = set()
    return Reading(_entries(narrowed, remarks), "utf-8", remarks)


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
    preferred: list[tuple[MethodKind, str, str]] = []
    for raw in raw_lines:
        found = lines.parse(raw)
        if found is None:
            person.problems.append(RowProblem("unreadable", "line"))
            continue
        if found.is_guessed:
            remarks.add("encoding_guessed")
        if len(raw) > lines.LINE_MAX_BYTES:
            # Of pictures nothing is kept anyway.
            if found.name in {"NOTE", "FN", "N"}:
                person.problems.append(RowProblem("too_long", found.name.lower()))
            continue
        known = len(person.methods)
        _take(person, found)
        if "pref" in found.types() or "PREF" in found.params:
            preferred += person.methods[known:]
    if preferred:
        person.methods = list(dict.fromkeys([*preferred, *person.methods]))
    return people.entry(person)


def _take(person: Person, found: Line) -> None:  # noqa: C901  # one arm per property
    value = found.value
    match found.name:
        case "FN":
            person.full_name = person.full_name or lines.unescaped(value)
        case "N":
            family, given, *_rest = [*lines.components(value), "", ""]
            person.last_name, person.first_name = family, given
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
            person.add(_METHODS[name], _address(value), _label(found))
        case _:
            pass


def _address(value: str) -> str:
    """Return an address without the scheme that vCard 4 writes before it."""
    shown = lines.unescaped(value).strip()
    scheme, _, rest = shown.partition(":")
    return rest if scheme.lower() in {"tel", "mailto", "sms"} else shown


def _label(found: Line) -> str:
    if label := found.params.get("X-LABEL", ("",))[0]:
        return label
    words = [*found.params.get("TYPE", ()), *found.params.get("", ())]
    return next((word.lower() for word in words if word.lower() not in _NOT_LABELS), "")
