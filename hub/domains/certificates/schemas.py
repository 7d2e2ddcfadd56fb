"""Certificates of gateways as they are asked for and shown."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

RevokedReason = Literal[
    "revoked",  # the owner cast the gateway out
    "replaced",  # another device claimed the gateway
]


class ClaimCode(Struct, frozen=True):
    """A code by which one device becomes a gateway; shown once, kept as a hash."""

    code: str
    expires_at: datetime


class Certificate(Struct, frozen=True):
    """A certificate of a gateway of the signed-in user."""

    id: UUID
    serial: str
    """Hexadecimal, as tools print it."""
    fingerprint: str
    """SHA-256 of the certificate, hexadecimal."""
    not_before: datetime
    not_after: datetime
    superseded_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: RevokedReason | None
    created_at: datetime
