"""Payloads of the events of claims; the columns that the database's triggers emit."""

from uuid import UUID

from msgspec import Struct


class ClaimAsked(Struct, frozen=True, kw_only=True, tag="ring.claim_asked"):
    """A gateway shall fetch the proof of a claim, or bring its confirmation to the ring."""

    claim_id: UUID
    ring_id: UUID
    gateway_id: UUID
