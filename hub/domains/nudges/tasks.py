"""What nudges do from time to time."""

from core.db import Tx
from hub.domains.nudges import service


async def forget(tx: Tx) -> bool:
    """Remove what is a year old."""
    return await service.forget(tx)


async def look(tx: Tx) -> bool:
    """Remind users whose morning has come."""
    return await service.look(tx)
