"""The MQTT side of gateways: their presence. Decoding only; no I/O."""

from uuid import UUID

from core import edge
from hub.domains.gateways.schemas import GatewayPresence, Message


def read_presence(message: Message) -> GatewayPresence | None:
    """Return what a state message says, or None when it says nothing we understand."""
    try:
        gateway_id = UUID(edge.gateway_of(message.topic))
        state = edge.decode(message.payload, edge.GatewayState)
    except (edge.PayloadError, ValueError, IndexError):
        return None
    return GatewayPresence(gateway_id, "online" if state.state == "online" else "offline")
