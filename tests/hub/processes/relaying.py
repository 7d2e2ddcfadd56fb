"""What the relay's tests write and read: events, messages, what was published and kicked."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest_asyncio

from core import config
from hub.domains.events.schemas import TaskKey
from hub.realtime.broker import Broker
from hub.realtime.broker_memory import MemoryBroker
from tests.fixtures.world import World

SETTINGS = config.Relay()


CONSUMERS_OF_A_TAP: Final = ("achievements.count", "profiles.mark_active")
"""Of a tap at no other ring's side; sorted."""


class Kicks:
    """Remembers what was kicked."""

    def __init__(self) -> None:
        self.tasks: list[TaskKey] = []

    async def __call__(self, tasks: Sequence[TaskKey]) -> None:
        self.tasks += tasks


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker()
    await broker.start()
    yield broker
    await broker.close()


async def emit(connection: Any, world: World, **more: Any) -> UUID:
    """Write an event as a trigger would: ring.renamed of the world's ring."""
    payload = {"ring_id": world.ring_id, "label": "x", "kind": "ble", "status": "active"} | more
    return await connection.fetchval(
        "SELECT app.emit('ring.renamed', $1, 'ring', $2, $3::text::jsonb)",
        world.user_id,
        more.get("subject_id", world.ring_id),
        msgspec.json.encode(payload).decode(),
    )


async def published(broker: Broker, channel: str) -> list[dict[str, Any]]:
    history = await broker.history(channel)
    return [msgspec.json.decode(item.payload)["data"] for item in history.publications]


async def tap(connection: Any, world: World, *, seq: int) -> None:
    """Record a tap, whose trigger emits ring.tapped."""
    await connection.execute(
        """
        INSERT INTO ring_taps (user_id, ring_id, gateway_id, kind, source, boot, seq, verified)
        VALUES ($1, $2, $3, 'button', 'ble', 1, $4, true)
        """,
        world.user_id,
        world.ring_id,
        world.gateway_id,
        seq,
    )


async def open_conversation(connection: Any, *users: UUID) -> UUID:
    """Open a direct conversation as its first member."""
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.user_id', $1, true)", str(users[0]))
        return await connection.fetchval(
            "SELECT id FROM app.open_direct_conversation($1)", users[1]
        )


async def send(connection: Any, conversation: UUID, sender: UUID, body: str) -> None:
    """Send a message as a member."""
    await connection.execute(
        "INSERT INTO messages (conversation_id, sender_id, body) VALUES ($1, $2, $3)",
        conversation,
        sender,
        body,
    )
