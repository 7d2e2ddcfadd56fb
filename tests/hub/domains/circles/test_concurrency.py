"""Exactly one primary circle, whoever else puts the contact into circles and takes it out."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from hub.domains.circles import queries
from tests.fixtures.app import User
from tests.fixtures.locks import SECONDS, Late, until_somebody_waits
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user
from tests.hub.domains.circles.test_routes import add_circle, add_contact, circles_of

PUT = "INSERT INTO circle_members (user_id, circle_id, contact_id) VALUES ($1, $2, $3)"
REMOVE = "DELETE FROM circles WHERE user_id = $1 AND id = $2"


async def create_circle(admin: Any, user: UUID, tier: int) -> UUID:
    return await admin.fetchval(
        """INSERT INTO circles (user_id, name, tier, cadence_days) VALUES ($1, $2, $3, 7)
        RETURNING id""",
        user,
        f"tier {tier}",
        tier,
    )


@pytest.mark.req("REL-02")
@pytest.mark.parametrize("removes_first", [True, False])
async def test_a_circle_goes_while_its_contact_comes_into_another(
    admin: Any, database: Database, *, removes_first: bool
) -> None:
    user = await create_user(admin, "Ada")
    contact = await admin.fetchval("SELECT id FROM contacts WHERE user_id = $1", user)
    old, new = [await create_circle(admin, user, tier) for tier in (1, 2)]
    await admin.execute(PUT, user, old, contact)
    removing, putting = (REMOVE, user, old), (PUT, user, new, contact)
    first, second = (removing, putting) if removes_first else (putting, removing)
    other = await asyncpg.connect(database.system_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(*first)
        later = asyncio.create_task(admin.execute(*second))
        third = await asyncpg.connect(database.superuser_url)
        await until_somebody_waits(third)
        await third.close()
        await transaction.commit()
        await asyncio.wait_for(later, SECONDS)
    finally:
        await other.close()
    left = await admin.fetch("SELECT circle_id, is_primary FROM circle_members")
    assert [tuple(row) for row in left] == [(new, True)]


@pytest.mark.req("REL-02")
async def test_of_many_changes_at_once_one_primary_circle_is_left(ada: User) -> None:
    contact = await add_contact(ada)
    circles = [await add_circle(ada, name=f"Circle {n}", tier=1 + n % 6) for n in range(8)]
    kept = circles[0]

    async def put(circle: str) -> int:
        path = f"/v1/circles/{circle}/members/{contact}"
        return (await ada.client.put(path, json={"is_primary": True})).status_code

    async def remove(path: str) -> int:
        return (await ada.client.delete(f"/v1/circles/{path}")).status_code

    for gone in circles[1:4]:
        members = [f"{circle}/members/{contact}" for circle in circles[4:]]
        answers = await asyncio.gather(
            *(put(circle) for circle in circles),
            *(remove(member) for member in members),
            remove(gone),
            *(put(circle) for circle in circles[4:]),
        )
        assert set(answers) <= {204, 404}, "none of them is lost to a deadlock"
        assert await put(kept) == 204
        found = await circles_of(ada, contact)
        assert [name for name, is_primary in found.items() if is_primary] == ["Circle 0"]
    await asyncio.gather(*(remove(circle) for circle in circles))
    assert await circles_of(ada, contact) == {}


@pytest.mark.req("REL-02")
@pytest.mark.parametrize("begins_with", ["lock_members", "join_circles_of"])
async def test_a_circle_goes_while_two_contacts_become_one(
    admin: Any, ada: User, monkeypatch: pytest.MonkeyPatch, begins_with: str
) -> None:
    kept, merged = await add_contact(ada), await add_contact(ada, "G. Hopper")
    gone, left = await add_circle(ada), await add_circle(ada, name="Left", tier=5)
    for circle in (gone, left):
        await ada.client.put(f"/v1/circles/{circle}/members/{merged}", json={})
    late = Late(getattr(queries, begins_with), admin)
    monkeypatch.setattr(queries, begins_with, late)
    removing = ("DELETE", f"/v1/circles/{gone}", None)
    merging = ("POST", f"/v1/contacts/{kept}/merge", {"merged_id": merged})
    first, second = (removing, merging) if begins_with == "lock_members" else (merging, removing)

    async def ask(method: str, path: str, body: Any) -> int:
        return (await ada.client.request(method, path, json=body)).status_code

    earlier = asyncio.create_task(ask(*first))
    await late.reached()
    answers = await asyncio.wait_for(asyncio.gather(earlier, ask(*second)), SECONDS)
    assert set(answers) <= {200, 201, 204}, "none of them is lost to a deadlock"
    assert await circles_of(ada, kept) == {"Left": True}
