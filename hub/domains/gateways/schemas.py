"""Messages of gateways, and what the hub knows of their senders."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.edge import (
    GatewayConfig,
    GatewayInfo,
    HealthReport,
    RejectCode,
    Reported,
    RingState,
)

GatewayStatus = Literal["online", "offline"]
GatewayAlert = Literal[
    "offline",  # for more than two minutes
    "spool_growing",  # more taps wait with each report
    "spool_old",  # a tap waits for more than ten minutes
    "spool_failing",  # the disk takes nothing
    "taps_dropped",  # the spool was full, within the last day
    "taps_quarantined",  # rows were damaged or refused, within the last day
    "taps_held",  # the broker throws taps away
    "taps_rejected",  # the hub refused taps within the last hour
    "clock_wrong",  # by more than two seconds
    "certificate_expiring",  # in less than 15 days: renewal should have happened
    "certificate_problem",  # renewal fails
    "adapter_down",  # a Bluetooth adapter cannot be used
    "reader_down",  # an NFC reader cannot be used
]
# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
GatewayName = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)")
]


class Message(msgspec.Struct, frozen=True):
    """One MQTT message as it arrived."""

    topic: str
    payload: bytes
    received_ms: int
    """Unix milliseconds, by the hub's clock."""


class Answer(msgspec.Struct, frozen=True):
    """A message to a gateway, to be sent after the commit that it speaks of."""

    topic: str
    payload: bytes


class GatewayPresence(msgspec.Struct, frozen=True):
    """What a gateway, or its last will, says of itself."""

    gateway_id: UUID
    status: GatewayStatus
    session: str
    """One run of the gateway's process."""


class Info(msgspec.Struct, frozen=True):
    """What a gateway is, and which of the hub's wishes it has taken."""

    gateway_id: UUID
    info: GatewayInfo


class Health(msgspec.Struct, frozen=True):
    """How a gateway does."""

    gateway_id: UUID
    report: HealthReport
    received_ms: int


class Wish(msgspec.Struct, frozen=True):
    """A configuration that a gateway has not looked at yet."""

    gateway_id: UUID
    rev: int
    config: msgspec.Raw


class RingSeen(msgspec.Struct, frozen=True):
    """What a gateway says of a ring."""

    gateway_id: UUID
    device_id: bytes
    state: RingState


class Watch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the health reports of a gateway add up to; times are Unix milliseconds of the hub."""

    clock_error_ms: int | None = None
    """By how much its clock is behind the hub's, the way of the message included."""
    spool_rises: int = 0
    """How many reports in a row told of a longer spool."""
    dropped_at_ms: int | None = None
    """When it last reported newly dropped rows."""
    quarantined_at_ms: int | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What alerts follow from."""

    status: GatewayStatus
    last_seen_ms: int | None
    health: HealthReport | None
    watch: Watch
    certificate_expires_ms: int | None
    rejected_recently: int
    """Taps of the last hour that the hub refused."""


class NewGateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Registers a gateway."""

    name: GatewayName


class ChangeGateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes a gateway; what is left out stays."""

    name: GatewayName | UnsetType = UNSET
    config: GatewayConfig | UnsetType = UNSET
    """The whole configuration, in place of the present one; needs `config_rev`."""
    config_rev: Annotated[int, Meta(ge=0, lt=1 << 31)] | UnsetType = UNSET
    """The revision on which the change was made: another one meanwhile is a conflict."""


class CodeShown(msgspec.Struct, frozen=True):
    """The code by which a device becomes the gateway; shown this once."""

    claim_code: str
    claim_expires_at: datetime


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway of the signed-in user."""

    id: UUID
    name: str
    status: GatewayStatus
    last_seen_at: datetime | None
    version: str | None
    adapters: list[str]
    capabilities: list[str]
    """The calls that it serves."""
    config: GatewayConfig
    """What is wanted of it."""
    config_rev: int
    reported: Reported
    """What it has made of that: the revision in effect, a revision refused and why."""
    health: HealthReport | None
    health_at: datetime | None
    clock_error_ms: int | None
    alerts: list[GatewayAlert]
    claimed_at: datetime | None
    claim_expires_at: datetime | None
    """Until when its claim code can be used; null without one."""
    certificate_expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class GatewayCreated(Gateway, frozen=True, kw_only=True):
    """A new gateway, with the code that is shown this once."""

    claim_code: str | None
    """Kept nowhere, so null when the request is repeated with its key: ask for another one."""


class RejectedTap(msgspec.Struct, frozen=True):
    """What the hub refused of a gateway of the signed-in user; the ring only if it is theirs."""

    id: UUID
    gateway_id: UUID
    device_id: str
    """What the record calls its ring, in hex; possibly forged."""
    ring_id: UUID | None
    boot: int | None
    seq: int | None
    reason: RejectCode
    received_at: datetime


class Identify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lets a ring blink."""

    ring_id: UUID


class Collect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the latest log lines."""

    lines: Annotated[int, Meta(ge=1, le=200)] = 200


class Done(msgspec.Struct, frozen=True):
    """The gateway did it."""

    status: Literal["done"] = "done"


class Collected(msgspec.Struct, frozen=True):
    """Log lines of a gateway, the oldest first."""

    lines: list[str]


class GatewayOverview(msgspec.Struct, frozen=True):
    """A gateway as the operator sees it: no name, as that is its owner's."""

    id: UUID
    status: GatewayStatus
    version: str | None
    last_seen_at: datetime | None
    config_rev: int
    reported_rev: int
    rejected_rev: int
    spool_pending: int
    clock_error_ms: int | None
    certificate_expires_at: datetime | None
    alerts: list[str]


class EdgeStatus(msgspec.Struct, frozen=True):
    """All gateways at a glance, and the first of them one by one."""

    online: int
    offline: int
    alerts: dict[str, int]
    """Gateways by alert."""
    rejected_today: dict[str, int]
    """Refused taps of the last 24 hours by reason."""
    gateways: list[GatewayOverview]
