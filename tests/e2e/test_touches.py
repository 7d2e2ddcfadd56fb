"""Two virtual rings touch over the air, and both phones are told, whatever dies on the way."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from core.db.bootstrap import at_database
from firmware_bridge.cli import ask
from hub.embedded.generated import DATABASE_NAME
from tests.e2e.phone import Phone, sign_in
from tests.fixtures.patient import async_client
from tests.fixtures.stack import Stack

NAMES = ("Ada Lovelace", "Grace Hopper")
TOLD = {"touch.mutual", "touch.exchanged", "friendship.created"}
_CONVERSATIONS = """
SELECT count(*)
FROM (
  SELECT conversation_id
  FROM conversation_members
  JOIN users ON users.id = user_id
  WHERE full_name = ANY ($1)
  GROUP BY conversation_id
  HAVING count(*) = 2
)
"""


class Watch(Phone):
    """A phone that keeps what it is told of touches, and when."""

    def __init__(self, url: str, user_name: str) -> None:
        super().__init__(url, user_name)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.at: dict[str, float] = {}

    def note(self, channel: str, publication: Any) -> None:
        super().note(channel, publication)
        event = publication.data
        if event["type"] in TOLD:
            self.told.append((event["type"], event["data"]))
            if event["type"] == "touch.exchanged":
                self.at[event["data"]["touch_id"]] = time.time()


def rest(stack: Stack, name: str) -> httpx.AsyncClient:
    """Return a client of a demo user."""
    token = sign_in(stack.url, name)
    return async_client(stack.url, headers={"Authorization": f"Bearer {token}"})


async def share(stack: Stack, setting: str) -> None:
    """Set what both users share at touches."""
    for name in NAMES:
        async with rest(stack, name) as client:
            answer = await client.patch("/v1/me/privacy", json={"share_on_tap": setting})
            assert answer.status_code == 200, answer.text


async def touch(stack: Stack) -> None:
    """Let a ring of Ada's touch Grace's."""
    ada, grace = (
        next(ring["device_id"] for ring in stack.rings if ring["name"] == name)
        for name in ("ada-1", "grace-1")
    )
    address = stack.settings.development.rings_address
    await asyncio.to_thread(ask, address, {"touch": ada, "peer": grace})


async def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for what phones are told."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.02)


async def exchange_live(stack: Stack, *, deaths: int) -> None:
    """Let rings touch while the worker dies; check what both phones and the database were told."""
    await share(stack, "always")
    touches = 1 + 2 * deaths
    phones = [Watch(stack.url, name) for name in NAMES]
    for phone in phones:
        await phone.open()
    try:
        await touch(stack)
        await until(lambda: all(len(phone.told) >= len(TOLD) for phone in phones), "the exchange")
        for _ in range(deaths):
            await touch(stack)
            stack.kill("worker")
            await touch(stack)
            stack.start("worker")
        await until(lambda: all(len(phone.at) == touches for phone in phones), "all exchanges")
    finally:
        for phone in phones:
            await phone.close()
    for phone in phones:
        kinds = Counter(kind for kind, _ in phone.told)
        assert (kinds["touch.mutual"], kinds["touch.exchanged"]) == (touches, touches)
        assert kinds["friendship.created"] == 1
        assert not phone.out_of_order
        exchanged = [data for kind, data in phone.told if kind == "touch.exchanged"]
        async with rest(stack, phone.user_name) as client:
            card = await client.get(f"/v1/touches/{exchanged[0]['touch_id']}/card")
        other = next(name for name in NAMES if name != phone.user_name)
        assert card.json()["full_name"] == other
    connection = await asyncpg.connect(
        at_database(stack.settings.database.superuser_url, DATABASE_NAME)
    )
    try:
        assert await connection.fetchval(_CONVERSATIONS, list(NAMES)) == 1
        assert (
            await connection.fetchval("SELECT count(*) FROM friendships WHERE source = 'ring_tap'")
            == 2
        )
    finally:
        await connection.close()


@pytest.mark.req("RNG-04")
async def test_two_virtual_rings_touch_and_both_phones_see_the_exchange_live(stack: Stack) -> None:
    await exchange_live(stack, deaths=0)


@pytest.mark.soak
async def test_each_touch_is_exchanged_once_though_the_worker_is_killed(
    start_stack: Callable[..., Stack],
) -> None:
    await exchange_live(start_stack(), deaths=5)
