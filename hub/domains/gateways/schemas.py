"""Messages of gateways, and what the hub knows of their senders."""

from typing import Literal
from uuid import UUID

import msgspec

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
