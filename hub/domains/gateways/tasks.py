"""Reactions of gateways to events, and what is done again and again."""

from uuid import UUID

from core import edge
from core.db import Tx
from hub.domains.events.schemas import Errand, Event
from hub.domains.gateways import service
from hub.providers.outside import Outside


async def publish_config(tx: Tx, event: Event) -> Errand:
    """Retain at the broker what is wanted of a gateway; nothing is of one that was cast out."""
    gateway_id: UUID = event.subject_id
    # The present one, not the event's: of two tasks that overtake each other both say the newest.
    message = await service.config_message(tx, gateway_id)
    payload = b"" if message is None else message.payload  # an empty one deletes what is retained

    async def publish(outside: Outside) -> None:
        await outside.mqtt.publish(edge.config_topic(gateway_id), payload, retain=True)

    return publish


async def refresh_alerts(tx: Tx) -> bool:
    """Notice what no message tells: that a gateway is away, that a certificate ends."""
    await service.refresh_alerts(tx)
    return False
