"""What reminders do from time to time."""

from core import clock
from core.db import Tx
from hub.domains.reminders import service


async def fire_due(tx: Tx) -> bool:
    """Tell of the reminders that are due."""
    return await service.fire_due(tx, clock.now())
