"""Who of the gateways the MQTT broker shall let do anything; the database says."""

from uuid import UUID

from core.db import Tx
from hub.domains.admissions import queries


async def list_admitted(tx: Tx) -> set[UUID]:
    """Return all gateways that are not revoked, claimed or not."""
    return set(await queries.list_admitted.all(tx))


async def is_admitted(tx: Tx, gateway_id: UUID) -> bool:
    """Tell whether a gateway exists and is not revoked."""
    return await queries.is_admitted.one(tx, gateway_id)


async def list_lately_revoked(tx: Tx, seconds: float) -> list[UUID]:
    """Return the gateways that were revoked within so many seconds."""
    return await queries.list_lately_revoked.all(tx, seconds)


async def list_lately_replaced(tx: Tx, seconds: float) -> list[UUID]:
    """Return the gateways whose device another one has replaced within so many seconds."""
    return await queries.list_lately_replaced.all(tx, seconds)
