"""What streaks do from time to time."""

from core import clock
from core.db import Tx
from hub.domains.streaks import service


async def warn(tx: Tx) -> bool:
    """Tell those for whom it has become evening which streaks end with the day."""
    return await service.warn(tx, clock.now())
