"""What a serving process opens, with the data keys that its cipher needs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from core.config import Settings
from hub.domains.encryption import service as encryption
from hub.http.deps import Resources, open_resources
from hub.http.envelope import QUIET_PATHS


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncGenerator[Resources]:
    """Open what requests need and keep the data keys fresh; PostgreSQL, Redis may be away."""
    async with (
        open_resources(settings) as house,
        encryption.kept(house.system, house.cipher, settings.keys),
    ):
        yield house


def with_keys(app: Litestar, inner: ASGIApp) -> ASGIApp:
    """Return the application whose requests first see to it that the data keys are up to date.

    Else those that a machine finds after it stood still would be refused, until the keys are read.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in QUIET_PATHS:
            house: Resources = app.state.resources
            if house.cipher.data_keys is not None:
                await house.cipher.data_keys.come_up_to_date()
        await inner(scope, receive, send)

    return serve
