"""An interaction counts for everybody of the address book who took part in it, once."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace

from core import clock
from core.actor import SYSTEM
from core.crypto import FieldCipher, KeyRing, Keys
from core.db import Pool, begin
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import NewInteraction, NewParticipant
from hub.domains.relationships import queries
from tests.fixtures.app import User
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, create_user

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


async def test_what_a_stranger_sends_counts_for_nobody_who_got_it_too(
    book: Book, three: list[UUID]
) -> None:
    grace, joan, mary = three
    mail = NewInteraction(
        kind="email",
        occurred_at=clock.now() - timedelta(days=1),
        source="email",
        external_id="mail",
        direction="inbound",
        participants=[
            NewParticipant(role="from", address_kind="email", address="stranger@example.com"),
            NewParticipant(role="to", contact_id=grace),
        ],
    )
    known = replace(
        mail,
        external_id="known",
        duration_seconds=60,
        participants=[
            NewParticipant(role="to", contact_id=grace),
            NewParticipant(role="from", contact_id=joan),
            NewParticipant(role="to", contact_id=mary),
        ],
    )
    keys = Keys(FieldCipher(KeyRing.parse(FIELD_KEYS)), INDEX_KEY)
    async with begin(book.pool, SYSTEM) as tx:
        assert None not in await interactions.record_many(
            tx, [mail, known], owner_id=book.ada, keys=keys
        )
    assert await book.minutes(*three) == [0, 1, 0]


async def test_of_each_contact_the_indexes_are_read_and_no_more(
    book: Book, three: list[UUID]
) -> None:
    await book.meet(*three)
    async with book.admin.transaction():
        # Tables of a test are so small that reading them whole is cheapest.
        await book.admin.execute("SET LOCAL enable_seqscan = off")
        rows = await book.admin.fetch(
            f"EXPLAIN {queries.read_pasts.sql}", [book.ada], three[:1], clock.now()
        )
    plan = "\n".join(row[0] for row in rows)
    assert "contacts_met" not in plan, "PostgreSQL calls it, with all interactions of everybody"
    conditions = plan.split("interaction_participants p")[1]
    assert "contact_id = c.id" in conditions.split("->")[0], plan


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


async def test_a_merge_takes_meetings_along_and_its_undo_gives_them_back(ada: User) -> None:
    async def add(**fields: Any) -> str:
        return (await ada.client.post("/v1/contacts", json=fields)).json()["id"]

    async def last_at(contact: str) -> str | None:
        return (await ada.client.get(f"/v1/contacts/{contact}")).json()["last_interaction_at"]

    grace, joan, double = [await add(full_name=name) for name in ("Grace", "Joan", "Joan C.")]
    people = [{"role": "attendee", "contact_id": one} for one in (grace, double)]
    noted = await ada.client.post(
        "/v1/interactions", json={"kind": "meeting", "participants": people}
    )
    met_at = await last_at(double)
    assert (noted.json()["contact_id"], await last_at(grace)) == (grace, met_at)
    assert met_at is not None
    assert await last_at(joan) is None
    done = await ada.client.post(f"/v1/contacts/{joan}/merge", json={"merged_id": double})
    assert await last_at(joan) == met_at
    await ada.client.post(f"{done.headers['location']}/undo")
    assert [await last_at(one) for one in (grace, joan, double)] == [met_at, None, met_at]


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
