"""Certificates of gateways as they are asked for and shown."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from core.edge import CertificateCode

RevokedReason = Literal[
    "revoked",  # the owner cast the gateway out
    "replaced",  # another device claimed the gateway
]


class ClaimCode(Struct, frozen=True):
    """A code by which one device becomes a gateway; shown once, kept as a hash."""

    code: str
    expires_at: datetime


class ClaimGateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to be the gateway that a code stands for."""

    claim_code: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="As shown to the gateway's owner; blanks, hyphens and case do not matter.",
            examples=["K7QF-2MXD-9TRA-4HBZ"],
        ),
    ]
    csr: Annotated[
        str,
        Meta(
            min_length=1,
            description="PKCS #10 as PEM, up to 4 KiB; a key on P-256, or Ed25519. Its subject and"
            " extensions do not matter.",
        ),
    ]


class ClaimedGateway(Struct, frozen=True, kw_only=True):
    """What a device needs to be a gateway."""

    gateway_id: UUID
    certificate: str
    """PEM; its only name is the gateway's id."""
    ca: str
    """PEM; what the gateway trusts its MQTT broker by."""
    mqtt_url: str
    not_after: datetime


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


class Issued(Struct, frozen=True):
    """A certificate as the hub keeps it."""

    public_key_hash: bytes
    certificate: bytes
    """DER."""
    not_before: datetime
    not_after: datetime
    created_at: datetime


class RenewalRequest(Struct, frozen=True):
    """A gateway, known by its topic, asks for its next certificate."""

    gateway_id: UUID
    id: bytes
    csr: bytes


class Renewed(Struct, frozen=True):
    """What became of it; without a code there is a certificate (PEM)."""

    code: CertificateCode
    certificate: str = ""


class RevokedCertificate(Struct, frozen=True):
    """A line of the list of revoked certificates."""

    serial: str
    ended_at: datetime
    is_superseded: bool


class RevocationList(Struct, frozen=True):
    """All lines, and a number that rises with time."""

    number: int
    certificates: list[RevokedCertificate]
