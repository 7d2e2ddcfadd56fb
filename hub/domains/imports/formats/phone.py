"""Contacts in JSON: as an app reads them from a telephone's address book, and as the hub exports.

`{"contacts": [{…}]}` or the list alone; each entry is a `PhoneContact`, what else is in it ignored.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from core.errors import DomainError
from hub.domains.contacts.schemas import MethodKind
from hub.domains.imports.formats import people, text
from hub.domains.imports.formats.found import Entry, Options, Reading, RemarkCode, failed
from hub.domains.imports.formats.people import Person
from hub.http import strict_json


class PhoneValue(Struct, frozen=True):
    """An address with what the telephone calls it."""

    value: str
    label: str | None = None


class PhoneContact(Struct, frozen=True):
    """A contact of a telephone; docs/people.md shows one."""

    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    job_title: str | None = None
    birthday: str | None = None
    location: str | None = None
    bio: str | None = None
    note: str | None = None
    tags: list[str] | None = None
    phones: list[PhoneValue] | None = None
    emails: list[PhoneValue] | None = None
    urls: list[PhoneValue] | None = None
    linkedin: list[PhoneValue] | None = None
    twitter: list[PhoneValue] | None = None
    linkedin_url: str | None = None


_CONTACT: Final = msgspec.json.Decoder(PhoneContact)
_ENTRY_MAX_BYTES: Final = 1_048_576
# A string without an end reaches to the end of the file: nothing is looked at twice.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?"?|[\[\]{},]', re.DOTALL)
_WHOLE: Final = frozenset({b"[", b"{"})
_ENDS: Final = frozenset({b"]", b"}"})


def read(data: bytes, options: Options) -> Reading:
    """Read contacts of a telephone; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    narrowed, encoding = text.narrow(data)
    narrowed = narrowed.strip()
    begin = 1 if narrowed.startswith(b"[") else _list_of(narrowed)
    remarks: set[RemarkCode] = set()
    return Reading(_entries(narrowed, begin), encoding, remarks)


def _list_of(data: bytes) -> int:
    """Return where the list of contacts begins in the object around it."""
    depth, name = 0, b""
    for match in _TOKEN.finditer(data) if data.startswith(b"{") else ():
        token = match[0]
        if token in _WHOLE:
            if (depth, name, token) == (1, b'"contacts"', b"["):
                return match.end()
            depth += 1
        elif token in _ENDS:
            depth -= 1
        elif depth == 1:
            # The first text of a member is its name, the next one what it says.
            name = b"" if token == b"," else name or token
    raise DomainError("import.not_this_format", "It is not JSON with a list of contacts.")


def _entries(data: bytes, begin: int) -> Iterator[Entry]:
    """Yield what is between the commas of a list, one by one: a file may be a million zeros."""
    depth, starts_alone = 0, begin == 1
    for match in _TOKEN.finditer(data, begin):
        token = match[0]
        if token in _WHOLE:
            depth += 1
        elif depth and token in _ENDS:
            depth -= 1
        elif not depth and (token == b"," or token in _ENDS):
            if (raw := data[begin : match.start()].strip()) or token == b",":
                yield _entry(raw)
            begin = match.end()
            if token != b",":
                # Another list behind the first one.
                if starts_alone and data[begin:]:
                    yield failed("unreadable")
                return
    yield failed("unfinished")


def _entry(raw: bytes) -> Entry:
    if len(raw) > _ENTRY_MAX_BYTES:
        return failed("too_long")
    try:
        # Nests beyond reason or names a member twice: nobody's telephone says so.
        strict_json.check(raw)
        contact = _CONTACT.decode(raw)
    except (msgspec.MsgspecError, DomainError, RecursionError, UnicodeDecodeError):
        return failed("unreadable")
    return people.entry(_person(contact))


def _person(contact: PhoneContact) -> Person:
    person = Person(
        "phone",
        full_name=contact.name or "",
        first_name=contact.first_name or "",
        last_name=contact.last_name or "",
        company=contact.company or "",
        job_title=contact.job_title or "",
        birthday=contact.birthday or "",
        location=contact.location or "",
        bio=contact.bio or "",
        notes=contact.note or "",
        linkedin_url=contact.linkedin_url or "",
        tags=contact.tags or [],
    )
    named: dict[MethodKind, list[PhoneValue] | None] = {
        "phone": contact.phones,
        "email": contact.emails,
        "url": contact.urls,
        "linkedin": contact.linkedin,
        "twitter": contact.twitter,
    }
    for kind, values in named.items():
        for item in values or ():
            person.add(kind, item.value, item.label or "")
    return person
