"""Sockets are tested on both loops: they lean on what transports promise about their buffers."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
import uvloop

from tests.hub.realtime.websocket.peer import Connect, listening


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def connect() -> AsyncGenerator[Connect]:
    async with listening() as connect:
        yield connect
