"""Tiers: what an account pays for is its limit within a second, without a question per request."""

import asyncio
from uuid import UUID

import pytest

from core.db import Pool
from hub.http import tiers
from hub.http.tiers import Tiers
from tests.fixtures.app import Running, User
from tests.fixtures.waiting import running_seconds


async def subscribe(system_pool: Pool, user_id: UUID, tier: str, status: str = "active") -> None:
    async with system_pool.connection() as connection:
        await connection.execute(
            "UPDATE users SET subscription_tier = $2, subscription_status = $3 WHERE id = $1",
            user_id,
            tier,
            status,
        )


async def quota(user: User) -> str:
    return (await user.client.get("/v1/me")).headers["ratelimit-policy"]


@pytest.mark.req("ACC-05", "API-05")
async def test_a_change_of_tier_is_a_change_of_the_limit_within_a_second(
    ada: User, grace: User, system_pool: Pool
) -> None:
    assert await quota(ada) == await quota(grace) == '"default";q=600;w=60'
    for tier, status, expected in [
        ("pro", "active", 3_000),
        ("enterprise", "past_due", 12_000),
        ("enterprise", "cancelled", 600),
    ]:
        await subscribe(system_pool, ada.id, tier, status)
        changed_at = running_seconds()
        while await quota(ada) != f'"default";q={expected};w=60':
            # A second, and what a busy machine adds.
            assert running_seconds() - changed_at < 1.0 + 4.0
            await asyncio.sleep(0.05)
    assert await quota(grace) == '"default";q=600;w=60'


async def test_an_account_is_asked_for_once(hub: Running, ada: User, system_pool: Pool) -> None:
    await subscribe(system_pool, ada.id, "pro")
    known = Tiers(hub.resources.system)
    assert await known.of(ada.id) == "pro"
    # As nobody looks for events here, what is known stays.
    await subscribe(system_pool, ada.id, "free")
    assert await known.of(ada.id) == "pro"
    assert await Tiers(hub.resources.system).of(ada.id) == "free"


async def test_a_process_knows_no_more_accounts_than_it_has_room_for(
    hub: Running, ada: User, grace: User, system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiers, "_KNOWN_MAX", 1)
    known = Tiers(hub.resources.system)
    assert [await known.of(user.id) for user in (ada, grace)] == ["free", "free"]
    for user in (ada, grace):
        await subscribe(system_pool, user.id, "pro")
    # The last one is remembered, the first one asked for again.
    assert [await known.of(user.id) for user in (grace, ada)] == ["free", "pro"]


async def test_without_postgresql_whoever_is_unknown_is_free(ada: User) -> None:
    pool = await Pool.open("postgresql://nobody@127.0.0.1:1/nowhere")
    known = Tiers(pool)
    assert await known.of(ada.id) == "free"
    await pool.close()
