"""From the fields of an address book to a contact of ours: what fits is taken, the rest is said."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from hub.domains.contacts.schemas import (
    METHODS_MAX,
    TAGS_MAX,
    MethodKind,
    Name,
    NewContact,
    NewMethod,
    Source,
)
from hub.domains.imports.formats.found import Entry, RowProblem, failed

_LINES: Final = {
    "first_name": 100,
    "last_name": 100,
    "company": 200,
    "job_title": 200,
    "location": 200,
}
_TEXTS: Final = {"bio": 4000, "notes": 10_000}
_NAME_MAX: Final = 200
_VALUE_MAX: Final = 500
_LABEL_MAX: Final = 50
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_DATE: Final = re.compile(r"^(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?$")
_NO_YEAR: Final = re.compile(r"^--(\d{2})-?(\d{2})$")
_AMERICAN: Final = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})$")
_X: Final = re.compile(r"(?:https?://)?(?:www\.)?(?:twitter|x)\.com/", re.IGNORECASE)
_GERMAN: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$")
# Up to it, address books mean that they do not know the year (Apple's 1604).
_YEAR_UNKNOWN: Final = 1604


class Person(Struct):
    """What a file says of somebody, as it is written there."""

    source: Source
    full_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    last_name: str = ""
    nickname: str = ""
    company: str = ""
    job_title: str = ""
    location: str = ""
    bio: str = ""
    notes: str = ""
    birthday: str = ""
    linkedin_url: str = ""
    tags: list[str] = field(default_factory=list[str])
    methods: list[tuple[MethodKind, str, str]] = field(
        default_factory=list[tuple[MethodKind, str, str]]
    )
    """Kind, value and label; the first of a kind is the primary one."""
    problems: list[RowProblem] = field(default_factory=list[RowProblem])

    def add(self, kind: MethodKind, value: str, label: str = "") -> None:
        """Add an address if it is one; a web address of LinkedIn or X is a profile there."""
        value = line(value)
        if value:
            if kind == "url" and "linkedin.com/" in value.lower():
                kind = "linkedin"
            elif kind == "url" and _X.match(value):
                kind = "twitter"
            self.methods.append((kind, value, label))


def entry(person: Person) -> Entry:
    """Return a contact as it may be added, or why it cannot be."""
    problems = person.problems
    values: dict[str, Any] = {"source": person.source}
    for name, most in _LINES.items():
        values[name] = _fitting(name, line(getattr(person, name)), most, problems)
    for name, most in _TEXTS.items():
        values[name] = _fitting(name, paragraph(getattr(person, name)), most, problems)
    methods = _methods(person, problems)
    name = _name(person, methods)
    if not name:
        return failed("no_name")
    if len(name) > _NAME_MAX:
        return failed("too_long", "full_name")
    values["birthday"] = birthday(person.birthday, problems)
    if re.fullmatch(r"https?://[!-~]{1,490}", person.linkedin_url):
        values["linkedin_url"] = person.linkedin_url
    values |= {"full_name": name, "tags": _tags(person.tags, problems), "methods": methods}
    try:
        made = msgspec.convert(values, NewContact)
    except msgspec.ValidationError:
        return failed("unreadable")
    return Entry(made, tuple(dict.fromkeys(problems)))


def line(value: str) -> str:
    """Return a text as one line without control characters."""
    return " ".join(_CONTROLS.sub(" ", value).split())


def paragraph(value: str) -> str:
    """Return a text with its line breaks, and no other control character."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_BLANKS.sub(" ", _CONTROLS.sub(" ", item)).strip() for item in lines).strip()


def birthday(value: str, problems: list[RowProblem]) -> str | None:
    """Return a birthday as contacts take it; what is none is noted and left out."""
    value = value.strip()
    # What Outlook writes for none.
    if not value or value in {"0/0/00", "00/00/00", "0.0.00", "00.00.00"}:
        return None
    if match := _NO_YEAR.match(value):
        year, month, day = _YEAR_UNKNOWN, int(match[1]), int(match[2])
    elif match := _DATE.match(value):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := _AMERICAN.match(value):
        year, month, day = int(match[3]), int(match[1]), int(match[2])
    elif match := _GERMAN.match(value):
        year, month, day = int(match[3]), int(match[2]), int(match[1])
    else:
        problems.append(RowProblem("date_invalid", "birthday"))
        return None
    is_unknown = year <= _YEAR_UNKNOWN
    try:
        found = date(_YEAR_UNKNOWN if is_unknown else year, month, day)
    except ValueError:
        problems.append(RowProblem("date_invalid", "birthday"))
        return None
    return f"--{found:%m-%d}" if is_unknown else found.isoformat()


def _name(person: Person, methods: list[NewMethod]) -> str:
    """Return what to call somebody: whoever has only a number is kept under their number."""
    joined = f"{person.first_name} {person.middle_name} {person.last_name}"
    for candidate in (person.full_name, joined, person.nickname, person.company):
        found = line(candidate)
        if _is_seen(found):
            return found
    return methods[0].value if methods else ""


def _is_seen(name: str) -> bool:
    """Say whether there is something to see in a name; how long it may be is another question."""
    try:
        msgspec.convert(name[:_NAME_MAX], Name)
    except msgspec.ValidationError:
        return False
    return True


def _methods(person: Person, problems: list[RowProblem]) -> list[NewMethod]:
    methods: list[NewMethod] = []
    for kind, value, label in person.methods:
        if len(value) > _VALUE_MAX:
            problems.append(RowProblem("too_long", kind))
        elif len(methods) == METHODS_MAX:
            problems.append(RowProblem("too_many", "methods"))
            break
        else:
            shown = line(label)[:_LABEL_MAX].strip()
            methods.append(NewMethod(kind=kind, value=value, label=shown or None))
    return methods


def _tags(tags: Iterable[str], problems: list[RowProblem]) -> list[str]:
    found: list[str] = []
    for tag in dict.fromkeys(line(item) for item in tags):
        if len(tag) > _LABEL_MAX:
            problems.append(RowProblem("too_long", "tags"))
        elif tag:
            found.append(tag)
    if len(found) > TAGS_MAX:
        problems.append(RowProblem("too_many", "tags"))
    return found[:TAGS_MAX]


def _fitting(name: str, value: str, most: int, problems: list[RowProblem]) -> str | None:
    if len(value) > most:
        problems.append(RowProblem("too_long", name))
        return None
    return value or None
