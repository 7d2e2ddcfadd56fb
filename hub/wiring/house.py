"""What a serving process opens, with the data keys that its cipher needs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.config import Settings
from hub.domains.encryption import service as encryption
from hub.http.deps import Resources, open_resources


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncGenerator[Resources]:
    """Open what requests need and keep the data keys fresh; PostgreSQL, Redis may be away."""
    async with (
        open_resources(settings) as house,
        encryption.kept(house.system, house.cipher, settings.keys),
    ):
        yield house
