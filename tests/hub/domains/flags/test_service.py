"""Flags are asked without the database's help, and changes are known within a second."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from core import clock
from core.actor import ANONYMOUS, SYSTEM
from core.db import Pool, begin, command
from core.errors import DomainError
from hub.domains.flags import queries, service
from hub.domains.flags.schemas import ChangeFlag, PutCohort, PutFlag
from tests.fixtures.app import user_actor
from tests.fixtures.world import create_user


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: now[0])
    return now


@pytest.fixture
async def ada(admin: Any) -> UUID:
    return await create_user(admin, "Ada")


async def put(pool: Pool, key: str, **fields: Any) -> None:
    async with begin(pool, SYSTEM) as tx:
        await service.put_flag(tx, key, PutFlag(**{"enabled": True, **fields}))


async def is_on(pool: Pool, user: UUID, key: str = "new-cards") -> bool:
    async with begin(pool, user_actor(user)) as tx:
        return await service.is_on(tx, key, user)


async def test_a_change_holds_within_a_second_and_not_at_every_question(
    system_pool: Pool, api_pool: Pool, ada: UUID, time: list[float]
) -> None:
    assert not await is_on(api_pool, ada)
    await put(system_pool, "new-cards", percentage=100)
    time[0] += service.BELIEVED_SECONDS / 2
    assert not await is_on(api_pool, ada), "what was read is believed for a moment"
    time[0] += service.BELIEVED_SECONDS / 2
    assert await is_on(api_pool, ada)
    async with begin(system_pool, SYSTEM) as tx:
        await service.remove_flag(tx, "new-cards")
    time[0] += service.BELIEVED_SECONDS
    assert not await is_on(api_pool, ada)
    assert service.BELIEVED_SECONDS <= 1


async def test_what_is_believed_costs_no_query(
    system_pool: Pool, api_pool: Pool, ada: UUID, time: list[float]
) -> None:
    await put(system_pool, "new-cards", percentage=100)
    await put(system_pool, "off", enabled=False, percentage=100)
    assert await is_on(api_pool, ada)
    async with begin(api_pool, user_actor(ada)) as tx:
        assert await service.is_on(tx, "new-cards", ada)
        assert not await service.is_on(tx, "off", ada)
        assert not await service.is_on(tx, "unheard-of", ada)
        assert not tx.is_open, "no transaction was begun for it"


async def test_cohorts_take_members_tiers_and_roles(
    system_pool: Pool, api_pool: Pool, ada: UUID, admin: Any, time: list[float]
) -> None:
    grace = await create_user(admin, "Grace")
    async with begin(system_pool, SYSTEM) as tx:
        await service.put_cohort(tx, "beta", PutCohort(tiers=["pro"], roles=["moderator"]))
    await put(system_pool, "new-cards", cohorts=["beta"])

    async def both() -> tuple[bool, bool]:
        time[0] += 1
        return await is_on(api_pool, ada), await is_on(api_pool, grace)

    assert await both() == (False, False)
    async with begin(system_pool, SYSTEM) as tx:
        await service.add_member(tx, "beta", ada)
        await service.add_member(tx, "beta", ada)
    assert await both() == (True, False)
    async with begin(system_pool, SYSTEM) as tx:
        await service.remove_member(tx, "beta", ada)
        await command("UPDATE users SET subscription_tier = 'pro' WHERE id = $1").run(tx, grace)
    assert await both() == (False, True)
    async with begin(system_pool, SYSTEM) as tx:
        await command("UPDATE users SET subscription_tier = 'free'").run(tx)
        await command("UPDATE users SET role = 'moderator' WHERE id = $1").run(tx, ada)
    assert await both() == (True, False)
    async with begin(system_pool, SYSTEM) as tx:
        await service.put_cohort(tx, "beta", PutCohort())
    assert await both() == (False, False)


async def test_machines_ask_for_anybody_and_users_for_themselves(
    system_pool: Pool, api_pool: Pool, worker_pool: Pool, ada: UUID, admin: Any
) -> None:
    grace = await create_user(admin, "Grace")
    async with begin(system_pool, SYSTEM) as tx:
        await service.put_cohort(tx, "beta", PutCohort())
        await service.add_member(tx, "beta", ada)
    await put(system_pool, "new-cards", cohorts=["beta"])
    async with begin(system_pool, SYSTEM) as tx:
        assert await service.is_on(tx, "new-cards", ada)
        assert not await service.is_on(tx, "new-cards", grace)
        assert not await service.is_on(tx, "new-cards", uuid4())
    assert await is_on(worker_pool, ada)
    for actor in (user_actor(grace), ANONYMOUS):
        async with begin(api_pool, actor) as tx:
            with pytest.raises(ValueError, match="of that user"):
                await service.is_on(tx, "new-cards", ada)


async def test_a_question_of_nobody_s_transaction_spoils_no_other_s_answer(
    system_pool: Pool, api_pool: Pool, ada: UUID
) -> None:
    await put(system_pool, "new-cards", percentage=100)
    async with begin(api_pool, ANONYMOUS) as tx:
        assert [rule.key for rule in await queries.read_rules.all(tx)] == ["new-cards"]
    assert await is_on(api_pool, ada)


async def test_while_the_database_is_away_nobody_is_told_something_old(
    system_pool: Pool, ada: UUID, time: list[float]
) -> None:
    pool = await Pool.open("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_seconds=1)
    with pytest.raises(DomainError) as refused:
        await is_on(pool, ada)
    assert refused.value.code == "service.unavailable"
    await pool.close()


async def test_of_changes_at_once_none_undoes_another(system_pool: Pool) -> None:
    async def change(**fields: Any) -> None:
        async with begin(system_pool, SYSTEM) as tx:
            await service.set_flag(tx, "new-cards", ChangeFlag(**fields))

    await asyncio.gather(
        change(percentage=5), change(enabled=True), change(description="cards, redrawn")
    )
    async with begin(system_pool, SYSTEM) as tx:
        flag = await service.get_flag(tx, "new-cards")
    assert (flag.percentage, flag.enabled, flag.description) == (5, True, "cards, redrawn")


async def test_as_many_flags_and_cohorts_as_processes_keep(
    system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FLAGS_MAX", 1)
    monkeypatch.setattr(service, "COHORTS_MAX", 1)
    for name in ("one", "one"):
        await put(system_pool, name)
        async with begin(system_pool, SYSTEM) as tx:
            await service.put_cohort(tx, name, PutCohort())
    with pytest.raises(DomainError) as refused:
        await put(system_pool, "two")
    assert refused.value.code == "flag.limit"
    with pytest.raises(DomainError) as refused:
        async with begin(system_pool, SYSTEM) as tx:
            await service.put_cohort(tx, "two", PutCohort())
    assert refused.value.code == "cohort.limit"


async def test_who_is_erased_leaves_cohorts_without_a_word(
    system_pool: Pool, ada: UUID, admin: Any
) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        await service.put_cohort(tx, "beta", PutCohort())
        await service.add_member(tx, "beta", ada)
    await admin.execute("DELETE FROM users WHERE id = $1", ada)
    assert await admin.fetchval("SELECT count(*) FROM cohort_members") == 0
    assert await admin.fetchval("SELECT count(*) FROM events WHERE type = 'cohort.left'") == 0
