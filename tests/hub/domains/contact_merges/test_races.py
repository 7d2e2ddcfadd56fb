"""Whatever is done to the same contacts at the same moment, one order of it is what happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio

from core.db import Pool, Tx, begin
from core.errors import DomainError
from hub.domains.contact_links import service as links
from hub.domains.contact_links.schemas import PutLink
from hub.domains.contact_merges import service as merges
from hub.domains.contact_methods import service as methods
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import NewContact, NewMethod
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import NewInteraction, NewParticipant
from hub.domains.interests import service as interests
from hub.domains.interests.schemas import PutInterest
from hub.wiring.merging import MOVERS
from tests.fixtures.app import user_actor
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user
from tests.hub.domains.contact_merges.test_undo import KEYS

SECONDS = 30
AT_ONCE = 4
FRIEND = PutLink(kind="friend")
WAITING = """SELECT count(*) FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock'"""
Deed = Callable[[Tx], Awaitable[Any]]


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await Pool.open(database.api_url, max_size=AT_ONCE + 1)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def book(pool: Pool, admin: asyncpg.Connection) -> tuple[UUID, list[UUID]]:
    """Return a user and three contacts of theirs."""
    owner = await create_user(admin, "Ada")
    async with begin(pool, user_actor(owner)) as tx:
        people = [NewContact(full_name=name) for name in ("One", "Two", "Three")]
        return owner, await contacts.add_contacts(tx, KEYS, people)


async def at_once(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]], *deeds: Deed
) -> list[str]:
    """Do all in transactions of their own that meet at the contacts; return codes of refusals."""
    owner, ids = book

    async def do(deed: Deed) -> str:
        try:
            async with begin(pool, user_actor(owner)) as tx:
                await deed(tx)
        except DomainError as error:
            return error.code
        return ""

    async with begin(pool, user_actor(owner)) as tx:
        await contacts.hold(tx, ids)
        doing = [asyncio.create_task(do(deed)) for deed in deeds]
        deadline = monotonic() + SECONDS
        while await admin.fetchval(WAITING) < len(deeds):
            assert monotonic() < deadline, "not all wait for the contacts"
            await asyncio.sleep(0.005)
    return sorted(await asyncio.wait_for(asyncio.gather(*doing), SECONDS))


async def test_of_merges_of_one_pair_at_once_one_is_made(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]]
) -> None:
    one, two, _ = book[1]

    def merge(kept: UUID, merged: UUID) -> Deed:
        return lambda tx: merges.merge(tx, KEYS, kept, merged, MOVERS)

    pairs = (merge(one, two), merge(two, one)) * 2
    assert await at_once(pool, admin, book, *pairs) == ["", *["contact.merged"] * 3]
    assert await admin.fetchval("SELECT count(*) FROM contact_merges") == 1
    made = await admin.fetchval("SELECT id FROM contact_merges")

    async def undo(tx: Tx) -> None:
        await merges.undo(tx, KEYS, made, MOVERS)

    assert await at_once(pool, admin, book, undo, undo) == ["", ""]
    separate = "SELECT count(*) FROM contacts WHERE merged_into_id IS NULL AND NOT is_self"
    assert await admin.fetchval(separate) == 3


async def test_of_two_merges_into_one_both_are_undone_at_once(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]]
) -> None:
    kept, *others = book[1]
    address = NewMethod(kind="phone", value="4711")
    async with begin(pool, user_actor(book[0])) as tx:
        for each in others:
            await methods.add_method(tx, KEYS, each, address)
        made = [await merges.merge(tx, KEYS, kept, each, MOVERS) for each in others]

    def undo(merge_id: UUID) -> Deed:
        return lambda tx: merges.undo(tx, KEYS, merge_id, MOVERS)

    assert await at_once(pool, admin, book, *(undo(each.id) for each in made)) == ["", ""]
    having = await admin.fetch("SELECT contact_id FROM contact_methods ORDER BY contact_id")
    assert [row["contact_id"] for row in having] == sorted(others)
    apart = "SELECT count(*) FROM contacts WHERE merged_into_id IS NULL AND NOT is_self"
    assert await admin.fetchval(apart) == 3


async def test_what_is_said_of_a_contact_while_it_is_merged_is_not_lost(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]]
) -> None:
    kept, merged, friend = book[1]
    address = NewMethod(kind="email", value="ada@example.com")
    said = PutInterest(category="sport", topic="chess")
    refused = await at_once(
        pool,
        admin,
        book,
        lambda tx: merges.merge(tx, KEYS, kept, merged, MOVERS),
        lambda tx: links.put(tx, merged, friend, FRIEND),
        lambda tx: methods.add_method(tx, KEYS, merged, address),
        lambda tx: interests.put(tx, merged, said),
    )
    assert set(refused) <= {"", "contact.merged"}
    # Each came before the merge and moved, or after it and was told of it.
    left = await admin.fetchval(
        """SELECT (SELECT count(*) FROM contact_links WHERE $1 IN (contact_a_id, contact_b_id))
          + (SELECT count(*) FROM contact_methods WHERE contact_id = $1)
          + (SELECT count(*) FROM interests WHERE contact_id = $1)""",
        merged,
    )
    assert left == 0


async def test_what_is_recorded_while_a_contact_is_merged_belongs_to_the_one_that_is_kept(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]]
) -> None:
    owner, (kept, merged, _) = book
    call = NewInteraction(
        kind="call",
        source="manual",
        contact_id=merged,
        participants=[NewParticipant(role="from", contact_id=merged)],
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    ada = user_actor(owner)

    async def merge() -> None:
        async with begin(pool, ada) as tx:
            await merges.merge(tx, KEYS, kept, merged, MOVERS)

    async def record() -> None:
        async with begin(pool, ada) as tx:
            await interactions.record(tx, call)

    async def one_waits() -> None:
        deadline = monotonic() + SECONDS
        while await admin.fetchval(WAITING) == 0:
            assert monotonic() < deadline, "nobody waits for the contact"
            await asyncio.sleep(0.005)

    async def those_of(contact: UUID) -> list[int]:
        return [
            await admin.fetchval(f"SELECT count(*) FROM {table} WHERE contact_id = $1", contact)
            for table in ("interactions", "interaction_participants")
        ]

    # Recorded, not committed, when the merge begins.
    async with begin(pool, ada) as tx:
        await interactions.record(tx, call)
        merging = asyncio.create_task(merge())
        await one_waits()
    await asyncio.wait_for(merging, SECONDS)
    assert await those_of(kept) == [1, 1]
    [made] = await admin.fetch("SELECT id FROM contact_merges")
    async with begin(pool, ada) as tx:
        await merges.undo(tx, KEYS, made["id"], MOVERS)
    assert await those_of(merged) == [1, 1]
    # Merged, not committed, when it is recorded.
    async with begin(pool, ada) as tx:
        await merges.merge(tx, KEYS, kept, merged, MOVERS)
        recording = asyncio.create_task(record())
        await one_waits()
    await asyncio.wait_for(recording, SECONDS)
    assert await those_of(kept) == [2, 2]
    assert await those_of(merged) == [0, 0]


async def test_a_link_from_both_ends_at_once_is_one(
    pool: Pool, admin: asyncpg.Connection, book: tuple[UUID, list[UUID]]
) -> None:
    one, two, _ = book[1]
    ends = [
        lambda tx: links.put(tx, one, two, FRIEND),
        lambda tx: links.put(tx, two, one, FRIEND),
    ] * 2
    assert await at_once(pool, admin, book, *ends) == [""] * AT_ONCE
    assert await admin.fetchval("SELECT count(*) FROM contact_links") == 1
