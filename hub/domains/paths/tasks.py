"""What paths do from time to time."""

from core.db import Tx
from hub.domains.paths import service


async def purge(tx: Tx) -> bool:
    """Forget searches and changes that are too old to matter."""
    return await service.purge(tx)
