"""Who of one's contacts is a user here, as the REST interface asks and says it."""

from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from core.normal_forms import AddressKind

CONTACTS_MAX: Final = 50


class LinkUsers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contacts to look up by the e-mail addresses and telephone numbers that one has of them."""

    contact_ids: Annotated[list[UUID], Meta(min_length=1, max_length=CONTACTS_MAX)]


class LinkedUser(Struct, frozen=True):
    """A contact who is a user here, and lets that be known to who has their address."""

    contact_id: UUID
    user_id: UUID
    display_name: str


class LinkedUsers(Struct, frozen=True):
    """Who was found; and which contacts are to be asked for again, as these were too many."""

    linked: list[LinkedUser]
    addresses: int
    """How many were looked up: they count against the limit of POST /v1/contacts/match."""
    left: list[UUID]


class StoredAddress(Struct, frozen=True):
    """An address of a contact as the database has it."""

    id: UUID
    contact_id: UUID
    kind: AddressKind
    value: bytes
