"""An interaction counts for everybody of the address book who took part in it, once."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core import clock
from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.relationships import queries
from tests.fixtures.world import create_user

pytestmark = pytest.mark.req("REL-10")


class Book:
    """Ada's address book, and what is known of whom she met."""

    def __init__(self, admin: Any, pool: Pool, ada: UUID) -> None:
        self.admin = admin
        self.pool = pool
        self.ada = ada

    async def add(self, name: str) -> UUID:
        return await self.admin.fetchval(
            "INSERT INTO contacts (user_id, full_name) VALUES ($1, $2) RETURNING id", self.ada, name
        )

    async def meet(
        self, *people: UUID | None, direction: str = "mutual", is_private: bool = False
    ) -> UUID:
        """Note that the first of these was met for an hour, and all of them took part."""
        made = await self.admin.fetchval(
            """INSERT INTO interactions (
              user_id, contact_id, kind, direction, occurred_at, duration_seconds, is_private
            )
            VALUES ($1, $2, 'meeting', $3, now() - interval '9 days', 3600, $4) RETURNING id""",
            self.ada,
            people[0],
            direction,
            is_private,
        )
        await self.admin.execute(
            """INSERT INTO interaction_participants (user_id, interaction_id, contact_id, role)
            SELECT $1, $2, p.id, 'attendee' FROM unnest($3::uuid[]) AS p (id)""",
            self.ada,
            made,
            people,
        )
        return made

    async def minutes(self, *people: UUID) -> list[float]:
        """Return for how long each was met; both that and when agree with their contact."""
        async with begin(self.pool, SYSTEM) as tx:
            pasts = await queries.read_pasts.all(tx, [self.ada] * len(people), people, clock.now())
        hours = {past.contact_id: past.all_hours for past in pasts}
        last = {past.contact_id: past.last_touch_at for past in pasts}
        assert [await self.last_at(one) for one in people] == [last.get(one) for one in people]
        return [hours.get(one, 0) * 60 for one in people]

    async def last_at(self, contact: UUID) -> datetime | None:
        return await self.admin.fetchval(
            "SELECT last_interaction_at FROM contacts WHERE id = $1", contact
        )

    async def told(self) -> list[UUID]:
        """Return of whom it was told that their health is to be computed, since the last time."""
        rows = await self.admin.fetch("SELECT payload FROM events WHERE type = 'closeness.changed'")
        await self.admin.execute("DELETE FROM events")
        return sorted(UUID(json.loads(row["payload"])["contact_id"]) for row in rows)


@pytest_asyncio.fixture
async def book(admin: Any, system_pool: Pool) -> Book:
    return Book(admin, system_pool, await create_user(admin, "Ada"))


@pytest_asyncio.fixture
async def three(book: Book) -> list[UUID]:
    return [await book.add(name) for name in ("Grace", "Joan", "Mary")]


@pytest.mark.parametrize("direction", ["mutual", "outbound"])
async def test_whom_one_meets_or_writes_to_counts_whoever_stands_first(
    book: Book, three: list[UUID], direction: str
) -> None:
    await book.meet(*three, direction=direction)
    assert await book.minutes(*three) == [60, 60, 60]
    assert await book.told() == sorted(three[1:]), "the first by interaction.recorded"


async def test_of_what_somebody_sends_only_the_sender_counts(book: Book, three: list[UUID]) -> None:
    await book.meet(*three, direction="inbound")
    assert await book.minutes(*three) == [60, 0, 0]
    assert await book.told() == []


async def test_who_stands_twice_among_those_who_took_part_counts_once(
    book: Book, three: list[UUID]
) -> None:
    grace, joan, _ = three
    await book.meet(grace, joan, joan, grace)
    assert await book.minutes(grace, joan) == [60, 60]
    assert await book.told() == [joan]


async def test_those_whom_one_met_without_an_interaction_of_their_own_count(
    book: Book, three: list[UUID]
) -> None:
    await book.meet(None, *three[1:])
    assert await book.minutes(*three) == [0, 60, 60]


async def test_nobody_counts_for_being_oneself(book: Book, three: list[UUID]) -> None:
    oneself = await book.admin.fetchval(
        "SELECT id FROM contacts WHERE user_id = $1 AND is_self", book.ada
    )
    await book.meet(three[0], oneself)
    assert await book.told() == []
    assert await book.last_at(oneself) is None


async def test_private_meetings_count_for_all_who_were_there(book: Book, three: list[UUID]) -> None:
    await book.meet(*three, is_private=True)
    assert await book.minutes(*three) == [60, 60, 60]


@pytest.mark.parametrize(
    ("change", "minutes"),
    [
        ("direction = 'inbound'", [60, 0, 0]),
        ("direction = 'outbound'", [60, 60, 60]),
        ("duration_seconds = 60", [1, 1, 1]),
        ("occurred_at = now() - interval '400 days'", [60, 60, 60]),
        ("occurred_at = now() - interval '1 day'", [60, 60, 60]),
        ("occurred_at = now() - interval '1 day', direction = 'inbound'", [60, 0, 0]),
        ("contact_id = NULL", [60, 60, 60]),
    ],
)
async def test_a_change_of_a_meeting_reaches_all_who_were_there(
    book: Book, three: list[UUID], change: str, minutes: Sequence[float]
) -> None:
    await book.meet(*three)
    await book.told()
    await book.admin.execute(f"UPDATE interactions SET {change}")
    assert await book.minutes(*three) == minutes
    told = await book.told()
    assert set(told) == set(three[:1] if change.startswith("contact_id") else three)
    if "," not in change:
        assert len(told) == len(set(told))


async def test_a_mail_that_turns_out_to_be_ones_own_counts_for_its_readers(
    book: Book, three: list[UUID]
) -> None:
    await book.meet(*three, direction="inbound")
    await book.admin.execute("UPDATE interactions SET direction = 'outbound'")
    assert await book.minutes(*three) == [60, 60, 60]


async def test_words_of_a_meeting_are_nobodys_news(book: Book, three: list[UUID]) -> None:
    await book.meet(*three)
    await book.told()
    await book.admin.execute("UPDATE interactions SET subject = 'Tea', is_private = true")
    assert await book.told() == []


@pytest.mark.parametrize("table", ["interactions", "interaction_participants"])
async def test_a_meeting_that_goes_is_gone_for_all_who_were_there(
    book: Book, three: list[UUID], table: str
) -> None:
    await book.meet(*three)
    await book.told()
    await book.admin.execute(f"DELETE FROM {table}")
    stays = table == "interaction_participants"
    assert await book.minutes(*three) == [60 if stays else 0, 0, 0]
    assert set(await book.told()) == set(three)


async def test_each_is_told_of_once_however_many_meetings_one_statement_takes(
    book: Book, three: list[UUID]
) -> None:
    for _ in range(3):
        await book.meet(*three)
    await book.told()
    await book.admin.execute("UPDATE interactions SET duration_seconds = 60")
    assert await book.told() == sorted(three)
    await book.admin.execute("DELETE FROM interaction_participants")
    assert await book.told() == sorted(three)


async def test_an_address_that_becomes_somebody_counts_from_then_on_and_moves_with_them(
    book: Book, three: list[UUID]
) -> None:
    grace, joan, mary = three
    await book.meet(grace, None)
    await book.told()
    assign = """UPDATE interaction_participants SET contact_id = $2
    WHERE contact_id IS NOT DISTINCT FROM $1"""
    await book.admin.execute(assign, None, joan)
    assert await book.minutes(*three) == [60, 60, 0]
    assert await book.told() == [joan]
    await book.admin.execute(assign, joan, mary)
    assert await book.minutes(*three) == [60, 0, 60]
    assert await book.told() == sorted([joan, mary])
    await book.admin.execute(assign, mary, grace)
    assert await book.minutes(*three) == [60, 0, 0]


async def test_when_one_was_last_in_touch_is_the_last_one_that_is_left(
    book: Book, three: list[UUID]
) -> None:
    first = await book.meet(*three)
    await book.admin.execute(
        "UPDATE interactions SET occurred_at = now() - interval '50 days' WHERE id = $1", first
    )
    before = await book.last_at(three[1])
    second = await book.meet(*three)
    after = await book.last_at(three[1])
    assert before is not None
    assert after is not None
    assert before < after
    await book.admin.execute("DELETE FROM interactions WHERE id = $1", second)
    assert [await book.last_at(one) for one in three] == [before] * 3
