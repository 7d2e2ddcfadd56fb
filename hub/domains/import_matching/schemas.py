"""What becomes of the entries of a file, as far as the address book knows them."""

from uuid import UUID

from msgspec import Struct


class KnownContent(Struct, frozen=True):
    """An entry that an import brought in before; `position`: which of the asked."""

    position: int
    contact_id: UUID | None
    interaction_id: UUID | None


class Namesake(Struct, frozen=True):
    """Whose an address is, of those asked for."""

    position: int
    contact_id: UUID
