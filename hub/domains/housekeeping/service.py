"""Periodic work that makes room before it is needed and forgets what nobody may need again.

Each says whether it left rows for another transaction.
"""

from typing import Final

from core.db import Tx
from hub.domains.housekeeping import queries

PARTITIONS_AHEAD_MONTHS: Final = 3
DONE_TASKS_DAYS: Final = 7
REJECTED_TAPS_DAYS: Final = 90
_PURGE_MAX_ROWS: Final = 10_000


async def create_partitions(tx: Tx) -> bool:
    """Create the partitions of the coming months."""
    await queries.create_partitions.all(tx, PARTITIONS_AHEAD_MONTHS)
    return False


async def purge_idempotency_keys(tx: Tx) -> bool:
    """Forget the answers to requests that may no longer be repeated."""
    return await queries.purge_idempotency_keys.run(tx, _PURGE_MAX_ROWS) == _PURGE_MAX_ROWS


async def purge_consumer_tasks(tx: Tx) -> bool:
    """Forget consumer tasks that are done; dead letters stay until an operator decides."""
    return (
        await queries.purge_consumer_tasks.run(tx, DONE_TASKS_DAYS, _PURGE_MAX_ROWS)
        == _PURGE_MAX_ROWS
    )


async def purge_rejected_taps(tx: Tx) -> bool:
    """Forget refused taps that nobody has asked about."""
    return (
        await queries.purge_rejected_taps.run(tx, REJECTED_TAPS_DAYS, _PURGE_MAX_ROWS)
        == _PURGE_MAX_ROWS
    )
