"""Contacts as files for other address books: vCard 4, Google's CSV, JSON, and birthdays as ICS."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hub.domains.contacts.schemas import MethodKind
from hub.domains.exports.schemas import Address, Card

_WORD: Final = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
_LINE_BYTES: Final = 75
_PROPERTIES: Final[dict[MethodKind, str]] = {
    "email": "EMAIL",
    "phone": "TEL",
    "url": "URL",
    "linkedin": "X-LINKEDIN",
    "twitter": "X-TWITTER",
}
_WEB: Final[tuple[MethodKind, ...]] = ("url", "linkedin", "twitter")
COLUMNS: Final[tuple[tuple[str, tuple[MethodKind, ...]], ...]] = (
    ("E-mail", ("email",)),
    ("Phone", ("phone",)),
    ("Website", _WEB),
)
"""Google's groups of columns, and what goes into them."""
_PLAIN_COLUMNS: Final = (
    "Name",
    "First Name",
    "Last Name",
    "Organization Name",
    "Organization Title",
    "Birthday",
    "Notes",
    "Labels",
    "Address 1 - City",
)
# Spreadsheets take these for formulas; names come from others, too. Numbers are numbers.
_FORMULA: Final = re.compile(r"^(?:[=@\t\r\n]|[+-](?![0-9 ()./-]*$))")


def vcf(cards: Iterable[Card]) -> str:
    """Write vCard 4.0 (RFC 6350)."""
    return "".join(_vcard(card) for card in cards)


def csv_head(widths: Sequence[int]) -> str:
    """Write the headers of Google's CSV with so many columns of each group."""
    names = list(_PLAIN_COLUMNS)
    for (group, _), width in zip(COLUMNS, widths, strict=True):
        for number in range(1, width + 1):
            names += [f"{group} {number} - Label", f"{group} {number} - Value"]
    return _row(names)


def csv_rows(cards: Iterable[Card], widths: Sequence[int]) -> str:
    """Write contacts below `csv_head`."""
    return "".join(_row(_cells(card, widths)) for card in cards)


def json(cards: Iterable[Card]) -> str:
    """Write contacts as JSON objects, one per line, separated by commas."""
    return ",\n".join(msgspec.json.encode(_object(card)).decode() for card in cards)


def ics(cards: Iterable[Card]) -> str:
    """Write birthdays as events of every year (RFC 5545)."""
    return "".join(_birthday(card) for card in cards if card.birthday is not None)


def _vcard(card: Card) -> str:
    lines = [
        "BEGIN:VCARD",
        "VERSION:4.0",
        f"UID:urn:uuid:{card.id}",
        f"FN:{_escaped(card.full_name)}",
    ]
    if card.first_name or card.last_name:
        lines.append(f"N:{_escaped(card.last_name or '')};{_escaped(card.first_name or '')};;;")
    for name, value in (
        ("ORG", card.company),
        ("TITLE", card.job_title),
        ("NOTE", card.notes),
        ("X-PINGHUB-BIO", card.bio),
    ):
        if value:
            lines.append(f"{name}:{_escaped(value)}")
    if card.linkedin_url:
        lines.append(f"X-PINGHUB-LINKEDIN-URL:{card.linkedin_url}")
    if card.location:
        lines.append(f"ADR:;;;{_escaped(card.location)};;;")
    if card.birthday:
        lines.append(f"BDAY:{_compact(card.birthday)}")
    if card.tags:
        lines.append("CATEGORIES:" + ",".join(_escaped(tag) for tag in card.tags))
    lines += [_property(item) for item in card.addresses]
    return "".join(_folded(line) for line in [*lines, "END:VCARD"])


def _property(item: Address) -> str:
    params = ";PREF=1" if item.is_primary else ""
    if item.label and _WORD.match(item.label):
        params += f";TYPE={item.label}"
    elif item.label:
        params += f';X-LABEL="{item.label.replace(chr(34), chr(39))}"'
    return f"{_PROPERTIES[item.kind]}{params}:{_escaped(item.value)}"


def _birthday(card: Card) -> str:
    month_day = (card.birthday or "")[-5:].replace("-", "")
    # A leap year where none is known, so that the 29th of February is a day.
    year = "2000" if (card.birthday or "").startswith("--") else (card.birthday or "")[:4]
    lines = (
        "BEGIN:VEVENT",
        f"UID:birthday-{card.id}",
        "DTSTAMP:19700101T000000Z",
        f"DTSTART;VALUE=DATE:{year}{month_day}",
        "RRULE:FREQ=YEARLY",
        f"SUMMARY:{_escaped(card.full_name)}",
        "CATEGORIES:BIRTHDAY",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    )
    return "".join(_folded(line) for line in lines)


def _cells(card: Card, widths: Sequence[int]) -> list[str]:
    cells = [
        card.full_name,
        card.first_name,
        card.last_name,
        card.company,
        card.job_title,
        card.birthday,
        card.notes,
        " ::: ".join(card.tags),
        card.location,
    ]
    for (_, kinds), width in zip(COLUMNS, widths, strict=True):
        found = [item for item in card.addresses if item.kind in kinds][:width]
        for item in found:
            cells += [item.label, _written(item)]
        cells += [None] * (2 * (width - len(found)))
    return [_inert(cell or "") for cell in cells]


def _written(item: Address) -> str:
    """Return an address as it is known for what it is among web addresses."""
    is_handle = item.kind == "twitter" and "/" not in item.value
    return f"https://x.com/{item.value.strip().removeprefix('@')}" if is_handle else item.value


def _object(card: Card) -> dict[str, object]:
    plain: dict[str, object | None] = {
        "name": card.full_name,
        "first_name": card.first_name,
        "last_name": card.last_name,
        "company": card.company,
        "job_title": card.job_title,
        "linkedin_url": card.linkedin_url,
        "location": card.location,
        "bio": card.bio,
        "note": card.notes,
        "birthday": card.birthday,
        "tags": card.tags,
        "phones": _values(card, "phone"),
        "emails": _values(card, "email"),
        "urls": _values(card, "url"),
        "linkedin": _values(card, "linkedin"),
        "twitter": _values(card, "twitter"),
    }
    return {name: value for name, value in plain.items() if value}


def _values(card: Card, kind: MethodKind) -> list[dict[str, str]]:
    return [
        {"value": item.value} | ({"label": item.label} if item.label else {})
        for item in card.of(kind)
    ]


def _compact(birthday: str) -> str:
    """Return a date as vCard 4 writes it: without hyphens, but for those of an unknown year."""
    return "--" + birthday[2:].replace("-", "") if birthday[0] == "-" else birthday.replace("-", "")


def _escaped(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
    # Many readers take a carriage return alone for the end of a line, too.
    return escaped.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")


def _folded(line: str) -> str:
    """Break a line after 75 bytes, never within a character (RFC 6350, 3.2)."""
    parts: list[str] = []
    size = 0
    for char in line:
        size += len(char.encode())
        if size > _LINE_BYTES:
            parts.append("\r\n ")
            size = 1 + len(char.encode())
        parts.append(char)
    return "".join((*parts, "\r\n"))


def _row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
