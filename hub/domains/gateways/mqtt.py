"""The MQTT side of gateways: what they say of themselves, and what the hub answers. No I/O."""

from typing import TypeVar
from uuid import UUID

from core import edge
from core.edge import RingState
from firmware_bridge import tap
from hub.domains.gateways.schemas import (
    GatewayPresence,
    Health,
    Info,
    Message,
    RingSeen,
)

_P = TypeVar("_P", bound=edge.Payload)


def read_presence(message: Message) -> GatewayPresence | None:
    """Return what a state message says, or None when it says nothing we understand."""
    found = _read(message, edge.GatewayState)
    if found is None:
        return None
    gateway_id, state = found
    status = "online" if state.state == "online" else "offline"
    return GatewayPresence(gateway_id, status, state.session)


def read_info(message: Message) -> Info | None:
    """Return what an info message says, or None when it says nothing we understand."""
    found = _read(message, edge.GatewayInfo)
    return None if found is None else Info(*found)


def read_health(message: Message) -> Health | None:
    """Return what a health message says, or None when it says nothing we understand."""
    found = _read(message, edge.HealthReport)
    return None if found is None else Health(*found, message.received_ms)


def read_ring_state(message: Message) -> RingSeen | None:
    """Return what a gateway sees of a ring, or None when it says nothing we understand."""
    found = _read(message, RingState)
    if found is None:
        return None
    gateway_id, state = found
    try:
        device_id = bytes.fromhex(message.topic.split("/")[5])
    except (ValueError, IndexError):
        return None
    if len(device_id) != tap.RING_ID_BYTES:
        return None
    # One spelling only: another one would be another ring's topic to the broker.
    if edge.ring_state_topic(gateway_id, device_id) != message.topic:
        return None
    return RingSeen(gateway_id, device_id, state)


def _read(message: Message, kind: type[_P]) -> tuple[UUID, _P] | None:
    try:
        return UUID(edge.gateway_of(message.topic)), edge.decode(message.payload, kind)
    except (edge.PayloadError, ValueError, IndexError):
        return None
