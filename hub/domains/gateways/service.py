"""What ingest learns of gateways."""

from collections.abc import Collection, Iterable
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.gateways import queries
from hub.domains.gateways.schemas import GatewayPresence, Health, Info, Wish


async def trusted(tx: Tx, gateway_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the gateways that are registered and not revoked."""
    return set(await queries.trusted.all(tx, list(gateway_ids))) if gateway_ids else set()


async def note_presence(tx: Tx, presences: Iterable[GatewayPresence]) -> None:
    """Store what gateways and last wills say, in their order; a change becomes an event."""
    # In one order, so that two ingest processes never wait for each other's rows.
    for presence in sorted(presences, key=lambda item: item.gateway_id):
        await queries.set_status.run(tx, presence.gateway_id, presence.status, presence.session)


async def note_info(tx: Tx, infos: Iterable[Info]) -> list[Wish]:
    """Store what gateways are; return the wishes that they have not looked at yet."""
    wishes: list[Wish] = []
    for item in sorted(infos, key=lambda item: item.gateway_id):
        reported = item.info.reported
        wishes += await queries.note_info.all(
            tx,
            item.gateway_id,
            item.info.version,
            msgspec.json.encode(reported),
            max(reported.rev, reported.rejected_rev),
        )
    return wishes


async def note_health(tx: Tx, reports: Iterable[Health]) -> None:
    """Store the newest health of each gateway."""
    for item in sorted(reports, key=lambda item: item.gateway_id):
        await queries.note_health.run(tx, item.gateway_id, msgspec.json.encode(item.report))
