"""A session that ended stays ended for processes that were not there to hear it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from core.db import Pool
from core.errors import DomainError
from hub.realtime.cluster.revocations import Revocations
from hub.realtime.tokens.claims import TokenInvalidError
from hub.wiring import revocations
from hub.wiring.revocations import RevocationGuard, RevocationsUnknownError
from tests.fixtures.world import create_user


async def end_session(admin: Any) -> str:
    """Sign a new user in and out; return the session."""
    user, family = await create_user(admin, "Ada"), uuid4()
    await admin.execute(
        """INSERT INTO sessions (user_id, family_id, token_hash, expires_at)
        VALUES ($1, $2, uuid_send(uuidv7()), now() + interval '1 day')""",
        user,
        family,
    )
    await admin.execute("UPDATE sessions SET revoked_at = now() WHERE family_id = $1", family)
    return str(family)


@pytest_asyncio.fixture
async def guard(system_pool: Pool) -> AsyncIterator[RevocationGuard]:
    guard = RevocationGuard(system_pool, Revocations())
    yield guard
    await guard.close()


async def test_a_new_process_knows_what_ended_before_it(admin: Any, guard: RevocationGuard) -> None:
    ended = await end_session(admin)
    guard.start()
    with pytest.raises(TokenInvalidError):
        await guard.check(ended)
    await guard.check(str(uuid4()))


async def test_what_ended_long_ago_is_not_kept(admin: Any, guard: RevocationGuard) -> None:
    ended = await end_session(admin)
    await admin.execute("UPDATE events SET occurred_at = now() - interval '12 minutes'")
    guard.start()
    await guard.check(ended)


async def test_lost_orders_are_read_again(
    admin: Any, guard: RevocationGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "_LOOK_SECONDS", 60)
    guard.start()
    await guard.check("")
    ended = await end_session(admin)
    await guard.check(ended)  # nobody told this process
    guard.doubt()
    with pytest.raises(TokenInvalidError):
        await guard.check(ended)


async def test_what_no_order_told_is_read_within_a_second(
    admin: Any, guard: RevocationGuard
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    guard.start(told.put_nowait)
    await guard.check("")
    ended = await end_session(admin)
    assert await asyncio.wait_for(told.get(), 1) == ended


async def test_rest_hears_the_same_in_its_own_words(admin: Any, guard: RevocationGuard) -> None:
    guard.start()
    await guard.admit(str(uuid4()))
    ended = str(uuid4())
    guard.end(ended)
    with pytest.raises(DomainError, match="Invalid token"):
        await guard.admit(ended)


async def test_while_nobody_knows_clients_are_asked_to_come_back(
    guard: RevocationGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "_WAIT_SECONDS", 0.01)

    async def away(_tx: object, **_more: object) -> list[UUID]:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(revocations.accounts, "sessions_revoked_within", away)
        guard.start()
        with pytest.raises(RevocationsUnknownError):
            await guard.check("")
        with pytest.raises(DomainError, match="Temporarily unavailable"):
            await guard.admit("")
    monkeypatch.setattr(revocations, "_WAIT_SECONDS", 10)
    await guard.check("")
