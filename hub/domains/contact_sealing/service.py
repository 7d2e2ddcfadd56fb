"""What of contacts is sealed at rest, and how their addresses are found nevertheless."""

from typing import Final
from uuid import UUID

from core.crypto import Keys, blind_index
from hub.domains.contact_sealing import rules
from hub.domains.contacts.schemas import MethodKind

NOTES_COLUMN: Final = "contacts.notes"
METHOD_COLUMN: Final = "contact_methods.value"


def method_hashes(
    keys: Keys, owner_id: UUID, kind: MethodKind, value: str, region: str | None
) -> list[bytes]:
    """Return every form in which an address's blind index may be stored, the written one first.

    Bound to the owner: nobody who reads the table learns whether two users know the same person.
    Empty: the value is no address.
    """
    form = rules.normal_form(kind, value, region)
    if form is None:
        return []
    bound = f"{owner_id.hex}\0{form}"
    return keys.cipher.indexes.live(blind_index(keys.index_key, f"contact_method.{kind}", bound))


def seal_notes(keys: Keys, contact_id: UUID, notes: str | None) -> bytes | None:
    """Return notes as the row of their contact holds them."""
    if notes is None:
        return None
    return keys.cipher.seal(notes.encode(), column=NOTES_COLUMN, row=contact_id.bytes)


def open_notes(keys: Keys, contact_id: UUID, sealed: bytes | None) -> str | None:
    """Return what `seal_notes` made unreadable."""
    if sealed is None:
        return None
    return keys.cipher.open(sealed, column=NOTES_COLUMN, row=contact_id.bytes).decode()


def seal_method(keys: Keys, method_id: UUID, value: str) -> bytes:
    """Return an address as its row holds it."""
    return keys.cipher.seal(value.encode(), column=METHOD_COLUMN, row=method_id.bytes)


def open_method(keys: Keys, method_id: UUID, sealed: bytes) -> str:
    """Return what `seal_method` made unreadable."""
    return keys.cipher.open(sealed, column=METHOD_COLUMN, row=method_id.bytes).decode()
