"""Every column that holds sealed values, in one list, and every one of lasting blind indexes.

A column that is not here cannot be sealed; a test compares the list with the data dictionary, and
rotation of keys walks over both.
"""

from typing import Final, Literal

import msgspec

Scope = Literal["people", "rings"]
"""A group of columns that share data keys: what people wrote, and keys of rings."""


class SealedColumn(msgspec.Struct, frozen=True):
    """`table.column`, its values bound to the row's `row_id` and to the name `sealed_as`."""

    table: str
    column: str
    row_id: str
    scope: Scope
    sealed_as: str = ""
    """Differs from `table.column` where values move between columns of a row."""

    @property
    def place(self) -> str:
        """Return where it is, as the data dictionary names it."""
        return f"{self.table}.{self.column}"

    @property
    def bound_to(self) -> str:
        """Return the name in the associated data."""
        return self.sealed_as or self.place


SEALED_COLUMNS: Final = (
    SealedColumn("users", "email", "id", "people"),
    SealedColumn("contact_cards", "card", "user_id", "people"),
    SealedColumn("touches", "partner_card", "id", "people"),
    SealedColumn("contacts", "notes", "id", "people"),
    SealedColumn("contact_methods", "value", "id", "people"),
    SealedColumn("interaction_participants", "address", "id", "people"),
    SealedColumn("import_chunks", "content", "id", "people"),
    SealedColumn("import_rows", "payload", "id", "people"),
    # Whatever was answered, with what is sealed where it lives.
    SealedColumn("idempotency_keys", "response_body", "id", "people"),
    SealedColumn("rings", "tap_key", "id", "rings"),
    SealedColumn("rings", "id_key", "id", "rings"),
    SealedColumn("rings", "next_tap_key", "id", "rings", "rings.tap_key"),
    SealedColumn("rings", "next_id_key", "id", "rings", "rings.id_key"),
    SealedColumn("rings", "former_tap_key", "id", "rings", "rings.tap_key"),
    SealedColumn("ring_claims", "hub_private_key", "id", "rings"),
)

SCOPES: Final[dict[str, Scope]] = {item.bound_to: item.scope for item in SEALED_COLUMNS}


class IndexedColumn(msgspec.Struct, frozen=True):
    """`table.column` of blind indexes, in rows with an `id`."""

    table: str
    column: str

    @property
    def place(self) -> str:
        """Return where it is, as the data dictionary names it."""
        return f"{self.table}.{self.column}"


# Not those of codes that end within the hour, or that have been used: nothing is found by them
# when their key is old.
INDEXED_COLUMNS: Final = (
    IndexedColumn("users", "email_hash"),
    IndexedColumn("user_logins", "email_hash"),
    IndexedColumn("identity_hashes", "hash"),
    IndexedColumn("contact_methods", "value_hash"),
    IndexedColumn("interaction_participants", "address_hash"),
    IndexedColumn("import_rows", "content_hash"),
    IndexedColumn("rings", "nfc_uid_hash"),
    IndexedColumn("rings", "claim_code_hash"),
)
