"""Contacts as CSV: of Google, LinkedIn, Outlook, and any other whose columns the person maps."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from msgspec import structs

from core.errors import DomainError
from hub.domains.contacts.schemas import MethodKind, Source
from hub.domains.imports.formats import people, table
from hub.domains.imports.formats.found import (
    Entry,
    Options,
    Reading,
    RemarkCode,
    RowProblem,
    failed,
)
from hub.domains.imports.formats.people import Person
from hub.domains.imports.formats.table import Table

# As our own exports, and those of others, keep spreadsheets from taking a cell for a formula.
_PROTECTED: Final = re.compile(r"^'(?=[=@\t\r\n+-])")
FIELDS: Final = frozenset(
    {
        *("full_name", "first_name", "last_name", "company", "job_title", "location", "bio"),
        *("notes", "birthday", "tags", "email", "phone", "linkedin", "twitter", "url"),
    }
)
"""What a column of a file can be mapped to."""
_METHODS: Final = frozenset({"email", "phone", "linkedin", "twitter", "url"})
_SEVERAL: Final = _METHODS | {"tags"}
Mapped = Mapping[int, tuple[str, str]]
"""Column → field and label."""

Headers = Callable[[Sequence[str]], bool]


def _has(*names: str) -> Headers:
    return lambda row: set(names) <= {name.lower() for name in row}


_GOOGLE: Final = {
    "name": "full_name",
    "given name": "first_name",
    "first name": "first_name",
    "additional name": "middle_name",
    "middle name": "middle_name",
    "family name": "last_name",
    "last name": "last_name",
    "nickname": "nickname",
    "organization name": "company",
    "organization title": "job_title",
    "organization 1 - name": "company",
    "organization 1 - title": "job_title",
    "birthday": "birthday",
    "notes": "notes",
    "labels": "tags",
    "group membership": "tags",
    "address 1 - city": "location",
}
_GOOGLE_METHOD: Final = re.compile(r"^(e-mail|phone|website) (\d{1,3}) - value$")
_GOOGLE_KINDS: Final = {"e-mail": "email", "phone": "phone", "website": "url"}
# Google writes several values of one label into one cell, marks labels that are its own, and gives
# every contact one of these.
_GOOGLE_SEVERAL: Final = ":::"
_GOOGLE_OWN: Final = re.compile(r"^\* ?")
_GOOGLE_EVERYBODY: Final = frozenset({"* mycontacts", "* other contacts"})
_GOOGLE_MARKS: Final = frozenset({"labels", "group membership"})

_LINKEDIN: Final = {
    "first name": "first_name",
    "last name": "last_name",
    "url": "linkedin",
    "email address": "email",
    "company": "company",
    "position": "job_title",
}
_OUTLOOK: Final = {
    "first name": "first_name",
    "middle name": "middle_name",
    "last name": "last_name",
    "nickname": "nickname",
    "company": "company",
    "job title": "job_title",
    "e-mail address": "email",
    "e-mail 2 address": "email",
    "e-mail 3 address": "email",
    "primary phone": "phone",
    "mobile phone": "phone mobile",
    "business phone": "phone work",
    "business phone 2": "phone work",
    "home phone": "phone home",
    "home phone 2": "phone home",
    "car phone": "phone car",
    "company main phone": "phone work",
    "other phone": "phone other",
    "personal web page": "url",
    "web page": "url",
    "birthday": "birthday",
    "notes": "notes",
    "categories": "tags",
    "home city": "location",
    "business city": "location",
}
_OUTLOOK_GERMAN: Final = {
    "vorname": "first_name",
    "weitere vornamen": "middle_name",
    "nachname": "last_name",
    "firma": "company",
    "position": "job_title",
    "e-mail-adresse": "email",
    "e-mail 2: adresse": "email",
    "e-mail 3: adresse": "email",
    "haupttelefon": "phone",
    "mobiltelefon": "phone mobile",
    "mobiltelefon 2": "phone mobile",
    "telefon geschäftlich": "phone work",
    "telefon geschäftlich 2": "phone work",
    "telefon firma": "phone work",
    "telefon privat": "phone home",
    "telefon privat 2": "phone home",
    "telefon (privat)": "phone home",
    "telefon (privat 2)": "phone home",
    "autotelefon": "phone car",
    "weiteres telefon": "phone other",
    "webseite": "url",
    "geburtstag": "birthday",
    "notizen": "notes",
    "kategorien": "tags",
    "ort privat": "location",
    "ort geschäftlich": "location",
}
_OUTLOOKS: Final[Sequence[tuple[Headers, Mapping[str, str]]]] = (
    (_has("first name", "last name", "e-mail address"), _OUTLOOK),
    (_has("vorname", "nachname", "e-mail-adresse"), _OUTLOOK_GERMAN),
)
# 31/12/1990: the month cannot be first, in all of the file.
_DAY_FIRST: Final = re.compile(r"\s*(?:1[3-9]|2\d|3[01])/\d{1,2}/\d{4}\s*")


def read_google(data: bytes, options: Options) -> Reading:
    """Read Google Contacts' CSV, of today and of before 2024."""
    del options

    def is_header(row: Sequence[str]) -> bool:
        names = {name.lower() for name in row}
        # Groups of columns that nobody needs are not there.
        return bool(names & {"given name", "first name", "name"}) and (
            bool(names & _GOOGLE_MARKS) or any(_GOOGLE_METHOD.match(name) for name in names)
        )

    found = table.read(data, is_header)
    lower = [name.lower() for name in found.headers]
    mapped: dict[int, tuple[str, str]] = {}
    labels: dict[int, int] = {}
    for column, name in enumerate(lower):
        if name in _GOOGLE:
            mapped[column] = (_GOOGLE[name], "")
        elif match := _GOOGLE_METHOD.match(name):
            mapped[column] = (_GOOGLE_KINDS[match[1]], "")
            for kind in ("label", "type"):
                with_label = f"{match[1]} {match[2]} - {kind}"
                if with_label in lower:
                    labels[column] = lower.index(with_label)
    return _reading(found, "import", mapped, labels=labels, several=_GOOGLE_SEVERAL)


def read_linkedin(data: bytes, options: Options) -> Reading:
    """Read LinkedIn's Connections.csv, with or without the notes above its headers."""
    del options
    found = table.read(data, _has("first name", "last name", "connected on"))
    return _reading(found, "linkedin", _by_names(found.headers, _LINKEDIN))


def read_outlook(data: bytes, options: Options) -> Reading:
    """Read Outlook's CSV with English or German headers; others are mapped by the person."""
    del options
    found = table.read(data, lambda row: any(is_header(row) for is_header, _ in _OUTLOOKS))
    fields = next(fields for is_header, fields in _OUTLOOKS if is_header(found.headers))
    mapped = _by_names(found.headers, fields)
    return _reading(_dated(found, mapped), "outlook", mapped, several=";")


def read_mapped(data: bytes, options: Options) -> Reading:
    """Read any CSV by the person's mapping; raises import.mapping_invalid, .columns_unknown."""
    mapping = {name.strip().lower(): to for name, to in options.mapping.items()}
    if not mapping or set(mapping.values()) - FIELDS:
        raise DomainError("import.mapping_invalid")
    found = table.read(data, _has(*mapping))
    mapped = _by_names(found.headers, mapping)
    return _reading(_dated(found, mapped), "import", mapped)


def _dated(found: Table, mapped: Mapped) -> Table:
    """Return a table in whose birthdays the day is behind a month, or parted from it by a dot."""
    columns = [column for column, (to, _) in mapped.items() if to == "birthday"]
    if not any(
        column < len(row) and _DAY_FIRST.fullmatch(row[column])
        for row in found.again()
        for column in columns
    ):
        return found
    return structs.replace(found, rows=_with_dots(found.rows, columns))


def _with_dots(
    rows: Iterator[list[str] | None], columns: Sequence[int]
) -> Iterator[list[str] | None]:
    for row in rows:
        for column in columns:
            if row is not None and column < len(row):
                row[column] = row[column].replace("/", ".")
        yield row


def _by_names(headers: Sequence[str], fields: Mapping[str, str]) -> dict[int, tuple[str, str]]:
    mapped: dict[int, tuple[str, str]] = {}
    for column, name in enumerate(headers):
        if name.lower() in fields:
            to, _, label = fields[name.lower()].partition(" ")
            mapped[column] = (to, label)
    return mapped


def _reading(
    found: Table,
    source: Source,
    mapped: Mapped,
    *,
    labels: Mapping[int, int] = {},
    several: str = "",
) -> Reading:
    used = {*mapped, *labels.values()}
    ignored = tuple(
        name for column, name in enumerate(found.headers) if column not in used and name
    )
    remarks: set[RemarkCode] = {"columns_ignored"} if ignored else set()
    if found.is_guessed:
        remarks.add("encoding_guessed")
    entries = _entries(found, source, mapped, labels, several)
    return Reading(entries, found.encoding, remarks, ignored)


def _entries(
    found: Table, source: Source, mapped: Mapped, labels: Mapping[int, int], several: str
) -> Iterator[Entry]:
    for row in found.rows:
        if row is None:
            yield failed("unreadable")
            continue
        person = Person(source)
        if len(row) > len(found.headers):
            person.problems.append(RowProblem("too_many", "columns"))
        cells = [_PROTECTED.sub("", cell) for cell in row]
        for column, (to, label) in mapped.items():
            if column < len(cells) and cells[column].strip():
                own = labels.get(column, len(cells))
                _take(person, to, cells[column], cells[own] if own < len(cells) else label, several)
        yield people.entry(person)


def _take(person: Person, to: str, cell: str, label: str, several: str) -> None:
    values = cell.split(several) if several and to in _SEVERAL else [cell]
    if to in _METHODS:
        for value in values:
            person.add(cast("MethodKind", to), value, _GOOGLE_OWN.sub("", label))
            if to == "linkedin":
                person.linkedin_url = value.strip()
    elif to == "tags":
        listed = values if several == _GOOGLE_SEVERAL else re.split("[;,]", cell)
        person.tags += filter(None, (_tag(item.strip()) for item in listed))
    elif to == "notes":
        person.notes = "\n".join(filter(None, (person.notes, cell)))
    else:
        known: Any = getattr(person, to)
        setattr(person, to, known or cell)


def _tag(written: str) -> str:
    return "" if written.lower() in _GOOGLE_EVERYBODY else _GOOGLE_OWN.sub("", written)
