"""What becomes of the entries of a file, as far as the address book knows them."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from hub.domains.contacts.schemas import NewContact
from hub.domains.contacts.service import Keys
from hub.domains.imports.formats.found import FoundInteraction, RowProblem


class Outcome(Struct, frozen=True, kw_only=True):
    """What becomes of an entry; "new" is what may be brought in."""

    status: Literal["new", "known", "skipped"]
    found: NewContact | FoundInteraction
    problems: tuple[RowProblem, ...] = ()
    contact_id: UUID | None = None
    interaction_id: UUID | None = None


class Book(Struct, frozen=True):
    """Whose address book it is, and what an import has met in its file so far."""

    owner_id: UUID
    keys: Keys
    region: str | None
    seen: set[bytes | tuple[str, bytes, str]]


class KnownContent(Struct, frozen=True):
    """An entry that an import brought in before; `position`: which of the asked."""

    position: int
    contact_id: UUID | None
    interaction_id: UUID | None


class Namesake(Struct, frozen=True):
    """Whose an address is, of those asked for."""

    position: int
    contact_id: UUID
