"""The product behind PgBouncer in transaction mode: everything but LISTEN goes through it."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from core import config
from core.db import direct_address, is_pooled, listen
from core.errors import ConfigError
from hub.processes import migrating
from tests.fixtures.app import idempotency_key
from tests.fixtures.pgbouncer import Pooled
from tests.fixtures.postgres import Database
from tests.isolation.belongings import Belongings, rows
from tests.isolation.test_routes import findings


@pytest.fixture
def app_settings(
    app_settings: config.Settings, pooled: Pooled, database: Database
) -> config.Settings:
    """Return settings as docs/deploy/pgbouncer.md has them."""
    return replace(
        app_settings,
        database=replace(
            app_settings.database,
            url=pooled.api_url,
            worker_url=pooled.worker_url,
            system_url=pooled.system_url,
            direct_url=database.system_url,
        ),
    )


@pytest.mark.req("DBR-10")
async def test_a_day_at_the_hub_goes_through_the_pooler(
    world: Belongings, app_settings: config.Settings
) -> None:
    # The world itself is the journey: sign-in, rings, claims, touches, messages, keys.
    assert is_pooled(app_settings.database.url)
    servers = await world.admin.fetch(
        """SELECT usename, count(*) AS amount FROM pg_stat_activity
        WHERE datname = current_database() AND usename LIKE 'ping\\_%' GROUP BY usename"""
    )
    assert {row["usename"] for row in servers} >= {"ping_api", "ping_system"}
    assert max(row["amount"] for row in servers) <= 2
    path = f"/v1/conversations/{world.names['conversation']}/messages"
    headers = idempotency_key()
    answers = await asyncio.gather(
        *(world.ada.client.post(path, json={"body": "x"}, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    listed = (await world.grace.client.get(path)).json()["items"]
    assert [item["body"] for item in listed].count("x") == 1
    assert not await findings(world, only="/v1/conversations")
    # What the pooler's connections notify of is heard by the direct one.
    direct = direct_address(app_settings.database, app_settings.database.system_url)
    async with asyncio.timeout(10), aclosing(listen(direct, "outbox")) as messages:
        assert await anext(messages) == "", "connected"
        before = await rows(world.admin)
        sent = await world.ada.client.post(path, json={"body": "hear"}, headers=idempotency_key())
        assert sent.status_code == 201
        await anext(messages)
    assert any("message.sent" in row for row in await rows(world.admin) - before)


def test_what_needs_the_server_itself_says_so(app_settings: config.Settings) -> None:
    database = replace(app_settings.database, direct_url="")
    with pytest.raises(ConfigError, match="direct_url"):
        direct_address(database, database.system_url)
    with pytest.raises(ConfigError, match="owner_url"):
        migrating.upgrade(database.system_url)
