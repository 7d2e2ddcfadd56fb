"""What NFC readers of gateways have read, on its way from MQTT into the database."""

from datetime import datetime
from uuid import UUID

import msgspec

from core.edge import RejectCode, TagRead, TimeSource
from hub.domains.taps.schemas import Verdict


class ReadArrival(msgspec.Struct, frozen=True):
    """A read that decodes, from the gateway whose topic it came on."""

    gateway_id: UUID
    read: TagRead
    received_ms: int


class ReadRefusal(msgspec.Struct, frozen=True):
    """A read that is refused for good, and what can be told of it."""

    gateway_id: UUID
    reason: RejectCode
    read_id: bytes | None
    raw: bytes


class ReadRow(msgspec.Struct, frozen=True):
    """One element of the batch that `app.record_reads` takes."""

    gateway_id: UUID
    read_id: str
    nfc_uid_hashes: list[str]
    counter: int | None
    """The proved count of a SUN link; none: a static tag, which proves nothing."""
    raw: str
    lat: float | None
    lon: float | None
    tapped_at: datetime | None
    uncertainty_ms: int | None
    time_source: TimeSource


class ReadOutcome(msgspec.Struct, frozen=True):
    """What became of the element at `position`."""

    position: int
    outcome: str
    ring_id: UUID | None


class ReadAnswered(msgspec.Struct, frozen=True):
    """The hub's verdict on one read, for the gateway that carried it."""

    gateway_id: UUID
    read_id: bytes
    verdict: Verdict
