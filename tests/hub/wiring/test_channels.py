"""Who may join a channel is decided by the policy that guards its rows."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from core.db import Pool
from core.errors import DomainError
from hub.realtime.channels import DEFAULT, personal_channels
from hub.realtime.tokens.claims import ConnectClaims
from hub.wiring.channels import NAMESPACES, authorizer
from tests.fixtures.world import create_user


async def open_conversation(admin: Any, first: UUID, second: UUID) -> UUID:
    async with admin.transaction():
        await admin.execute("SELECT set_config('app.user_id', $1, true)", str(first))
        return await admin.fetchval("SELECT id FROM app.open_direct_conversation($1)", second)


@pytest.mark.req("RTM-09")
async def test_members_join_a_conversation_and_strangers_do_not(admin: Any, api_pool: Pool) -> None:
    ada, grace, alan = [await create_user(admin, name) for name in ("Ada", "Grace", "Alan")]
    channel = f"conversation:{await open_conversation(admin, ada, grace)}"
    may_join = authorizer(api_pool)
    assert await may_join(ConnectClaims(user=str(ada)), channel)
    assert await may_join(ConnectClaims(user=str(grace)), channel)
    assert not await may_join(ConnectClaims(user=str(alan)), channel)
    assert not await may_join(ConnectClaims(user=str(ada)), f"conversation:{uuid4()}")


async def test_channels_in_another_spelling_or_namespace_are_nobodys(
    admin: Any, api_pool: Pool
) -> None:
    ada, grace = await create_user(admin, "Ada"), await create_user(admin, "Grace")
    conversation = await open_conversation(admin, ada, grace)
    may_join = authorizer(api_pool)
    for channel in (
        f"conversation:{str(conversation).upper()}",
        f"conversation:{conversation.hex}",
        f"conversation:{conversation}:more",
        "conversation:",
        "conversation",
        f"taps:{grace}",
        f"messages:{grace}",
        f"elsewhere:{ada}",
        "",
    ):
        assert not await may_join(ConnectClaims(user=str(ada)), channel), channel


async def test_a_subject_that_is_no_user_joins_nothing(admin: Any, api_pool: Pool) -> None:
    ada, grace = await create_user(admin, "Ada"), await create_user(admin, "Grace")
    channel = f"conversation:{await open_conversation(admin, ada, grace)}"
    for user in ("", "ada", str(ada) + " "):
        assert not await authorizer(api_pool)(ConnectClaims(user=user), channel)


async def test_without_the_database_nobody_is_let_in() -> None:
    pool = await Pool.open("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_seconds=1)
    with pytest.raises(DomainError):
        await authorizer(pool)(ConnectClaims(user=str(uuid4())), f"conversation:{uuid4()}")
    await pool.close()


def test_a_user_is_subscribed_to_their_own_channels() -> None:
    names = ("taps", "health", "messages", "sync", "notifications", "insights", "achievements")
    assert personal_channels("7", NAMESPACES, DEFAULT) == [f"{name}:7" for name in names]
