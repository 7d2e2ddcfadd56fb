"""Verified addresses and the search by addresses, as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from core.normal_forms import ADDRESS_MAX_CHARS, AddressKind

LOOKUPS_MAX: Final = 100
"""Addresses of one request: as many as the policy `identity_match` grants at once."""

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
Region = Annotated[str, Meta(pattern=r"^[A-Za-z]{2}$(?!\n)")]


class Identity(Struct, frozen=True):
    """An address that the user has proved to be theirs; which one, the hub does not know."""

    id: UUID
    kind: AddressKind
    verified_at: datetime
    created_at: datetime


class PlainAddress(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="form", tag="plain"
):
    """An address as it stands in an address book."""

    kind: AddressKind
    value: Annotated[
        str, Meta(min_length=1, max_length=ADDRESS_MAX_CHARS, examples=["ada@example.com"])
    ]


class HashedAddress(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="form", tag="sha256"
):
    """SHA-256, in hex, of an address in its normal form: lower case, or E.164."""

    kind: AddressKind
    value: Annotated[
        str,
        Meta(
            pattern=r"^[0-9a-f]{64}$(?!\n)",
            # ada@example.com
            examples=["b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"],
        ),
    ]


class MatchContacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses of contacts. `region`: whose rules numbers without a `+` follow (ISO 3166)."""

    addresses: Annotated[
        list[PlainAddress | HashedAddress], Meta(min_length=1, max_length=LOOKUPS_MAX)
    ]
    region: Region | None = None
    """By default that of the user's locale."""


class Match(Struct, frozen=True):
    """A user behind an address; both sides let it be known."""

    position: int
    """Which of the asked addresses, from 0."""
    user_id: UUID
    display_name: str


class Matches(Struct, frozen=True):
    """Who was found; and which of the asked are no addresses at all, by position."""

    matches: list[Match]
    unreadable: list[int]
