"""Payloads of events about verified addresses; written by migrations/objects/events.sql."""

from uuid import UUID

from msgspec import Struct

from core.normal_forms import AddressKind


class IdentityLost(Struct, frozen=True, kw_only=True, tag="identity.lost"):
    """Somebody else has proved an address of the user's since the user last did."""

    identity_id: UUID
    kind: AddressKind
