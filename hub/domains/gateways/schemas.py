"""Messages of gateways, and what the hub knows of their senders."""

from typing import Literal
from uuid import UUID

import msgspec

from core.edge import GatewayInfo, HealthReport

GatewayStatus = Literal["online", "offline"]


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


class Wish(msgspec.Struct, frozen=True):
    """A configuration that a gateway has not looked at yet."""

    gateway_id: UUID
    rev: int
    config: msgspec.Raw
