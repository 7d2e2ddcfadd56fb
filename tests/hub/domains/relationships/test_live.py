"""From a contact that is noted down to the socket that tells of it, by way of relay and worker."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import websockets
from taskiq.api import run_receiver_task

from core import clock
from hub import queue
from hub.processes import relay
from tests.fixtures.app import Running, User

SECONDS = 60


@pytest_asyncio.fixture
async def working(hub: Running) -> AsyncIterator[None]:
    """Run relay and worker in this process, beside the application."""
    work: list[Awaitable[None]] = [
        relay._main(hub.settings),
        run_receiver_task(queue.create_broker(hub.settings), run_startup=True),
    ]
    tasks = [asyncio.ensure_future(each) for each in work]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def told(socket: Any, event_type: str) -> dict[str, Any]:
    """Return the data of the next event of a type that comes over a socket."""
    async with asyncio.timeout(SECONDS):
        while True:
            for line in str(await socket.recv()).splitlines():
                publication = json.loads(line).get("push", {}).get("pub", {}).get("data", {})
                if publication.get("type") == event_type:
                    return publication["data"]


@pytest.mark.req("REL-10")
@pytest.mark.usefixtures("working")
async def test_a_change_of_health_arrives_live_after_each_contact(ada: User, address: str) -> None:
    token = ada.client.headers["authorization"].removeprefix("Bearer ")
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    url = address.replace("http", "ws", 1) + "/connection/websocket"
    async with websockets.connect(url, proxy=None) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
        assert f"health:{ada.id}" in json.loads(await socket.recv())["connect"]["subs"]
        scores: list[float] = []
        for days_ago in (300, 0):
            occurred_at = clock.now() - timedelta(days=days_ago)
            noted = await ada.client.post(
                "/v1/interactions",
                json={
                    "contact_id": contact,
                    "kind": "call",
                    "direction": "mutual",
                    "occurred_at": occurred_at.isoformat(),
                },
            )
            assert noted.status_code == 201, noted.text
            health = await told(socket, "health.changed")
            assert health["contact_id"] == contact
            scores.append(health["score"])
    assert scores[0] < scores[1]
    shown = (await ada.client.get(f"/v1/contacts/{contact}/health")).json()
    assert shown["score"] == scores[-1]
