"""PostgreSQL is killed under the hub: 503 while it is away, then on as if nothing had been."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from core import config
from core.ids import new_id
from tests.fixtures.app import Running
from tests.fixtures.own_postgres import OwnPostgres


@pytest.fixture
async def hub(start_app, app_settings: config.Settings, own_postgres: OwnPostgres) -> Running:
    database = own_postgres.database
    urls = replace(app_settings.database, url=database.api_url, system_url=database.system_url)
    return await start_app(replace(app_settings, database=urls))


async def test_a_killed_postgres_is_503_and_loses_nothing_acknowledged(
    ada, grace, own_postgres: OwnPostgres
):
    conversation = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    path = f"/v1/conversations/{conversation.json()['id']}/messages"
    acknowledged: set[str] = set()
    statuses: set[int] = set()
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            answer = await ada.client.post(
                path, json={"body": "x"}, headers={"Idempotency-Key": str(new_id())}
            )
            statuses.add(answer.status_code)
            if answer.status_code == 201:
                acknowledged.add(answer.json()["id"])
            else:
                assert answer.json()["code"] == "service.unavailable"
                assert int(answer.headers["retry-after"]) >= 1
                await asyncio.sleep(0.01)

    writers = [asyncio.create_task(write()) for _ in range(4)]
    try:
        await until(lambda: len(acknowledged) > 50)
        own_postgres.kill()
        await until(lambda: 503 in statuses)
        assert (await ada.client.get("/readyz")).json()["checks"]["postgres"] == "away"
        await asyncio.to_thread(own_postgres.restart)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 50)
    finally:
        stop.set()
        await asyncio.gather(*writers)
    assert statuses == {201, 503}
    assert acknowledged <= await listed(ada, path)


async def listed(user, path: str) -> set[str]:
    found: set[str] = set()
    cursor = ""
    while True:
        page = (await user.client.get(f"{path}?limit=200{cursor}")).json()
        found |= {item["id"] for item in page["items"]}
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def until(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
