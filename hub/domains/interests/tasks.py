"""What interests do from time to time."""

from core.db import Tx
from hub.domains.interests import service


async def fade(tx: Tx) -> bool:
    """Let confidence fade where nothing has reinforced it."""
    return await service.fade(tx)
