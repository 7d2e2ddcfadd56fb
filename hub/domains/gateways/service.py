"""What ingest learns of gateways."""

from collections.abc import Collection, Iterable
from uuid import UUID

from core.db import Tx
from hub.domains.gateways import queries
from hub.domains.gateways.schemas import GatewayPresence


async def trusted(tx: Tx, gateway_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the gateways that are registered and not revoked."""
    return set(await queries.trusted.all(tx, list(gateway_ids))) if gateway_ids else set()


async def note_presence(tx: Tx, presences: Iterable[GatewayPresence]) -> None:
    """Store the last presence of each gateway; a change becomes an event."""
    last = {presence.gateway_id: presence.status for presence in presences}
    # In one order, so that two ingest processes never wait for each other's rows.
    for gateway_id in sorted(last):
        await queries.set_status.run(tx, gateway_id, last[gateway_id])
