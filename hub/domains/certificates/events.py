"""Payloads of the events of gateways' identities; the columns that the triggers emit."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class GatewayClaimed(Struct, frozen=True, kw_only=True, tag="gateway.claimed"):
    """A device used a claim code: it is the gateway now, and any former device is not."""

    gateway_id: UUID
    name: str
    claimed_at: datetime
    cert_expires_at: datetime | None


class GatewayRevoked(Struct, frozen=True, kw_only=True, tag="gateway.revoked"):
    """The owner cast a gateway out; its certificates and taps are refused from now on."""

    gateway_id: UUID
    name: str
    revoked_at: datetime
