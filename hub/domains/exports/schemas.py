"""An address book on its way out."""

from datetime import date
from typing import Literal
from uuid import UUID

from msgspec import Struct

from hub.domains.contacts.schemas import MethodKind

ExportFormat = Literal["vcf", "csv", "json", "ics"]


class Address(Struct, frozen=True):
    """An address of a contact."""

    kind: MethodKind
    value: str
    label: str | None
    is_primary: bool


class StoredContact(Struct, frozen=True):
    """What of a contact leaves the hub, as the database has it."""

    id: UUID
    full_name: str
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    linkedin_url: str | None
    location: str | None
    bio: str | None
    notes: bytes | None
    birthday: date | None
    tags: list[str]


class StoredMethod(Struct, frozen=True):
    """An address as the database has it."""

    id: UUID
    contact_id: UUID
    kind: MethodKind
    value: bytes
    label: str | None
    is_primary: bool


class Card(Struct, frozen=True, kw_only=True):
    """A contact with its addresses, the primary one of each kind first."""

    id: UUID
    full_name: str
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    linkedin_url: str | None
    location: str | None
    bio: str | None
    notes: str | None
    birthday: str | None
    tags: list[str]
    addresses: list[Address]

    def of(self, kind: MethodKind) -> list[Address]:
        """Return the addresses of a kind."""
        return [item for item in self.addresses if item.kind == kind]
