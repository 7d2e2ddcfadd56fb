"""Pure rules of imports: what makes two entries the same, and what is brought in at all."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from core.crypto import blind_index
from core.plain_text import plain_text
from hub.domains.contacts.schemas import MethodKind, NewContact
from hub.domains.imports.formats.found import FoundInteraction

Mark = tuple[str, bytes | str, str]
"""What tells people apart: kind and blind index of an address, and what of the name counts."""

# No word of a name.
_ANYBODY: Final = "*"
# Clocks of telephones are not the hub's.
_AHEAD: Final = timedelta(minutes=5)


def is_ahead(found: FoundInteraction, now: datetime) -> bool:
    """Say whether something has not happened yet: a date in a calendar is no contact yet."""
    return found.occurred_at > now + _AHEAD


def content_index(key: bytes, owner_id: UUID, found: NewContact | FoundInteraction) -> bytes:
    """Return what the same entry of the same user has in common, however often it comes.

    An interaction that the file names by itself is the same one, whatever else has changed of it.
    """
    if isinstance(found, FoundInteraction) and found.native_id:
        text = msgspec.json.encode([found.kind, found.native_id])
    else:
        text = msgspec.json.encode(found)
    return blind_index(key, "import_row", f"{owner_id.hex}\0{text.decode()}")


def name_words(name: str) -> str:
    """Return the words of a name in the order of the alphabet, as contacts.name_words has them."""
    words = "".join(char if char.isalnum() else " " for char in plain_text(name)).split()
    return " ".join(sorted(set(words)))


def called(person: NewContact, kind: MethodKind) -> str:
    """Return the name that counts beside an address: with a mailbox, none that is an address."""
    is_address = any(person.full_name == method.value for method in person.methods)
    return "" if kind == "email" and is_address else person.full_name


def marks(kind: MethodKind, form: bytes, words: str) -> tuple[set[Mark], set[Mark]]:
    """Return by which marks somebody with an address was there before, and which they leave.

    `words`: of the name. Profiles are one person's, mailboxes too unless the names have no word in
    common; with a telephone or a page it takes the same name.
    """
    if kind != "email":
        mark: Mark = (kind, form, "" if kind == "linkedin" else words)
        return {mark}, {mark}
    anybody: Mark = (kind, form, _ANYBODY)
    if not words:
        return {anybody}, {anybody, (kind, form, "")}
    named: set[Mark] = {(kind, form, word) for word in words.split()}
    return named | {(kind, form, "")}, named | {anybody}
