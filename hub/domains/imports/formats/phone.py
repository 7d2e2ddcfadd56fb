"""Contacts in JSON: as an app reads them from a telephone's address book, and as the hub exports.

`{"contacts": [{…}]}` or the list alone; each entry is a `PhoneContact`, what else is in it ignored.
"""

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
    tags: list[str] = []
    phones: list[PhoneValue] = []
    emails: list[PhoneValue] = []
    urls: list[PhoneValue] = []
    linkedin: list[PhoneValue] = []
    twitter: list[PhoneValue] = []
    linkedin_url: str | None = None


class _Book(Struct, frozen=True):
    contacts: list[msgspec.Raw]


_CONTACT: Final = msgspec.json.Decoder(PhoneContact)
_BOOK: Final = msgspec.json.Decoder(_Book | list[msgspec.Raw])


def read(data: bytes, options: Options) -> Reading:
    """Read contacts of a telephone; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    narrowed = text.narrow(data)
    try:
        book = _BOOK.decode(narrowed)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise DomainError(
            "import.not_this_format", "It is not JSON with a list of contacts."
        ) from None
    remarks: set[RemarkCode] = set()
    found = book.contacts if isinstance(book, _Book) else book
    return Reading(_entries(found), "utf-8", remarks)


def _entries(found: list[msgspec.Raw]) -> Iterator[Entry]:
    for raw in found:
        try:
            # Nests beyond reason or names a member twice: nobody's telephone says so.
            strict_json.check(bytes(raw))
            contact = _CONTACT.decode(raw)
        except (msgspec.MsgspecError, DomainError, RecursionError, UnicodeDecodeError):
            yield failed("unreadable")
            continue
        yield people.entry(_person(contact))


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
        tags=list(contact.tags),
    )
    named: dict[MethodKind, list[PhoneValue]] = {
        "phone": contact.phones,
        "email": contact.emails,
        "url": contact.urls,
        "linkedin": contact.linkedin,
        "twitter": contact.twitter,
    }
    for kind, values in named.items():
        for item in values:
            person.add(kind, item.value, item.label or "")
    return person
