"""How many lists and messages a second one `serve` process answers, beside its own bare answer."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
import pytest

from core.db.bootstrap import at_database
from core.ids import new_id
from hub.embedded.generated import DATABASE_NAME
from hub.http.tokens import load_keys
from tests.bench.figures import show
from tests.e2e.phone import call
from tests.fixtures.stack import Stack
from tests.fixtures.world import create_user

SECONDS = 5.0
CLIENTS = 16
PEOPLE = 60  # a rate limit counts per user

Request = Callable[[aiohttp.ClientSession], Awaitable[int]]


@pytest.mark.bench
async def test_lists_and_sends_under_load(measured: Stack) -> None:
    url = measured.url
    people = await _people(measured)
    keys = itertools.count()

    async def send(session: aiohttp.ClientSession) -> int:
        number = next(keys)
        path, headers = people[number % len(people)]
        key = {"Idempotency-Key": f"bench-{number}"}
        async with session.post(path, json={"body": "hello"}, headers=headers | key) as answer:
            await answer.read()
            return answer.status

    async def read(session: aiohttp.ClientSession) -> int:
        path, headers = people[next(keys) % len(people)]
        async with session.get(path, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def bare(session: aiohttp.ClientSession) -> int:
        async with session.get(f"{url}/livez") as answer:
            await answer.read()
            return answer.status

    print(
        f"\n{CLIENTS} clients for {SECONDS:.0f} s each, one serve process, load on the same machine"
    )
    floor = await _load("floor: GET /livez", bare)
    sent = await _load("POST a message (fsync)", send)
    listed = await _load("GET a page of messages", read)
    print(f"ratio to the floor: send {sent / floor:.2f}, list {listed / floor:.2f}")


async def _load(name: str, request: Request) -> float:
    durations: list[float] = []
    statuses: set[int] = set()
    ends_at = time.perf_counter() + SECONDS

    async def client(session: aiohttp.ClientSession) -> None:
        while (started := time.perf_counter()) < ends_at:
            statuses.add(await request(session))
            durations.append(time.perf_counter() - started)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    assert statuses <= {200, 201}, statuses
    show(name, durations, note=f"{len(durations) / SECONDS:,.0f}/s")
    return len(durations) / SECONDS


async def _people(stack: Stack) -> list[tuple[str, dict[str, str]]]:
    """Return for each of many new users the path of a conversation's messages and a sign-in."""
    settings = stack.settings
    tokens = load_keys(settings.auth)
    connection = await asyncpg.connect(at_database(settings.database.superuser_url, DATABASE_NAME))
    user_ids = [await create_user(connection, f"user {number}") for number in range(PEOPLE)]
    await connection.close()
    people: list[tuple[str, dict[str, str]]] = []
    for user_id, partner_id in zip(user_ids, user_ids[1:] + user_ids[:1], strict=True):
        token = tokens.issue(user_id, new_id(), "user")
        body = {"partner_id": str(partner_id)}
        conversation = call(stack.url, "/v1/conversations", body, token)["id"]
        path = f"{stack.url}/v1/conversations/{conversation}/messages"
        people.append((path, {"Authorization": f"Bearer {token}"}))
    return people
