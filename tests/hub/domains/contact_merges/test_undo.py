"""Whatever is merged and undone in whatever order, in the end everything is as it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.crypto import FieldCipher, KeyRing, Keys
from core.db import Conflict, Pool, Tx, begin
from core.errors import DomainError
from hub.domains.contact_links import service as links
from hub.domains.contact_links.schemas import PutLink
from hub.domains.contact_merges import service as merges
from hub.domains.contact_methods import service as methods
from hub.domains.contact_moving.service import rows
from hub.domains.contact_sealing import service as sealing
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import (
    ChangeContact,
    Context,
    NewContact,
    NewMethod,
    PersonalContext,
)
from hub.domains.interests import service as interests
from hub.domains.interests.schemas import PutInterest
from hub.wiring.merging import MOVERS, STAYS
from tests.fixtures.app import user_actor
from tests.fixtures.postgres import Database
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, create_user
from tests.hub.domains.encryption.processes import Process, rotate

KEYS = Keys(FieldCipher(KeyRing.parse(FIELD_KEYS)), INDEX_KEY)
PEOPLE = 4
# Machines write these, or they say what has happened, which undoing does not change.
LOGS = {"contact_merges", "events", "outbox", "audit_log", "graph_changes"}
OR_NONE = st.none() | st.sampled_from(["one", "two"])
METHODS = st.builds(
    NewMethod,
    kind=st.just("email"),
    value=st.sampled_from(["a@example.com", "b@example.com", "c@example.com"]),
    is_primary=st.booleans(),
) | st.builds(NewMethod, kind=st.just("phone"), value=st.sampled_from(["4711", "4712"]))
CONTACTS = st.builds(
    NewContact,
    full_name=st.sampled_from(["Ada", "Grace"]),
    company=OR_NONE,
    job_title=OR_NONE,
    notes=OR_NONE,
    birthday=st.none() | st.just("--12-10"),
    context=st.sampled_from([Context(), Context(personal=PersonalContext(hobbies=["chess"]))]),
    tags=st.lists(st.sampled_from(["x", "y", "z"]), max_size=3),
    methods=st.lists(METHODS, max_size=4),
)
PAIRS = st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1)).filter(
    lambda pair: pair[0] != pair[1]
)
BOOKS = st.fixed_dictionaries(
    {
        "contacts": st.lists(CONTACTS, min_size=PEOPLE, max_size=PEOPLE),
        "links": st.lists(st.tuples(PAIRS, st.floats(0, 1)), max_size=6),
        "interests": st.lists(
            st.tuples(
                st.integers(0, PEOPLE - 1), st.sampled_from(["chess", "opera"]), st.floats(0, 1)
            ),
            max_size=6,
        ),
        "archived": st.sets(st.integers(0, PEOPLE - 1)),
        "merges": st.lists(PAIRS, min_size=1, max_size=3),
        "order": st.randoms(),
    }
)


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await Pool.open(database.api_url, max_size=2)
    yield opened
    await opened.close()


async def fill(pool: Pool, owner: UUID, book: dict[str, Any]) -> list[UUID]:
    """Put an address book into the database."""
    async with begin(pool, user_actor(owner)) as tx:
        ids = await contacts.add_contacts(tx, KEYS, book["contacts"])
        for (one, other), strength in book["links"]:
            await links.put(tx, ids[one], ids[other], PutLink(kind="friend", strength=strength))
        for who, topic, confidence in book["interests"]:
            said = PutInterest(category="x", topic=topic, confidence=confidence)
            await interests.put(tx, ids[who], said)
        for who in book["archived"]:
            await contacts.archive(tx, ids[who])
    return ids


async def dump(admin: asyncpg.Connection, owner: UUID) -> dict[str, list[Any]]:
    """Return all that a user has, with notes opened and without when it was last written."""
    tables = await admin.fetch(
        """SELECT c.relname FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'user_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition"""
    )
    found: dict[str, list[Any]] = {}
    for (table,) in tables:
        if table in LOGS:
            continue
        stored = await admin.fetch(
            f"SELECT to_jsonb(t) AS row FROM {table} AS t WHERE user_id = $1", owner
        )
        plain = [json.loads(row["row"]) for row in stored]
        for row in plain:
            row.pop("updated_at", None)
            if table == "contacts" and row["notes"]:
                sealed = bytes.fromhex(row["notes"].removeprefix("\\x"))
                row["notes"] = sealing.open_notes(KEYS, UUID(row["id"]), sealed)
        found[table] = sorted(plain, key=lambda row: json.dumps(row, sort_keys=True))
    return found


async def undone(tx: Tx, merge_id: UUID) -> bool:
    """Undo a merge, and say whether that was possible yet."""
    try:
        await merges.undo(tx, KEYS, merge_id, MOVERS)
    except DomainError as error:
        return error.code != "contact.merge_superseded"
    return True


@pytest.mark.parametrize("books", [8, pytest.param(150, marks=pytest.mark.soak)])
async def test_merges_undone_leave_the_database_as_it_was(
    pool: Pool, admin: asyncpg.Connection, books: int
) -> None:
    loop = asyncio.get_running_loop()

    async def check(book: dict[str, Any]) -> None:
        owner = await create_user(admin, "Ada")
        ids = await fill(pool, owner, book)
        before = await dump(admin, owner)
        async with begin(pool, user_actor(owner)) as tx:
            done: list[UUID] = []
            gone: set[int] = set()
            for kept, merged in book["merges"]:
                if {kept, merged} & gone:
                    continue
                made = await merges.merge(tx, KEYS, ids[kept], ids[merged], MOVERS)
                done.append(made.id)
                gone.add(merged)
            book["order"].shuffle(done)
            while done:
                done = [each for each in done if not await undone(tx, each)]
        assert await dump(admin, owner) == before

    # Hypothesis calls back from a thread of its own: the database stays with this loop.
    @settings(
        max_examples=books,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(BOOKS)
    def examples(book: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(check(book), loop).result(30)

    await asyncio.to_thread(examples)


@pytest.mark.parametrize("shares", [(0.1, 0.5, 0.9), (0.9, 0.5, 0.1), (None, 0.5, 0.9)])
async def test_of_two_that_became_one_with_a_third_the_first_may_go_first(
    pool: Pool, admin: asyncpg.Connection, shares: tuple[float | None, ...]
) -> None:
    owner = await create_user(admin, "Ada")
    known = [(who, share) for who, share in enumerate(shares) if share is not None]
    address = NewMethod(kind="phone", value="4711")
    both: dict[str, Any] = {
        "company": "Engines",
        "tags": ["x"],
        "notes": "Met.",
        "birthday": "--12-10",
    }
    book = {
        "contacts": [
            NewContact(full_name="Ada"),
            NewContact(full_name="Ada B.", methods=[address], **both),
            NewContact(full_name="Ada C.", methods=[address], **both),
            NewContact(full_name="Mary"),
        ],
        "links": [((who, 3), share) for who, share in known],
        "interests": [(who, "chess", share) for who, share in known],
        "archived": {0},
    }
    ids = await fill(pool, owner, book)
    before = await dump(admin, owner)

    async def shown(tx: Tx) -> list[Any]:
        fields = await contacts.get_contact(tx, KEYS, ids[0])
        reached = await methods.list_methods(tx, KEYS, ids[0])
        cares = await interests.list_of_contact(tx, ids[0], limit=5, cursor=None)
        knows = await links.list_links(tx, ids[0], limit=5, cursor=None)
        return [
            replace(fields, updated_at=fields.created_at),
            [item.value for item in reached],
            [item.confidence for item in cares.items],
            [item.strength for item in knows.items],
        ]

    async with begin(pool, user_actor(owner)) as tx:
        alone = await merges.merge(tx, KEYS, ids[0], ids[2], MOVERS)
        expected = await shown(tx)
        assert expected[0].archived_at is None
        await merges.undo(tx, KEYS, alone.id, MOVERS)
        first, second = [
            await merges.merge(tx, KEYS, ids[0], each, MOVERS) for each in (ids[1], ids[2])
        ]
        await merges.undo(tx, KEYS, first.id, MOVERS)
        # As if the first had never been.
        assert await shown(tx) == expected
        await merges.undo(tx, KEYS, second.id, MOVERS)
    assert await dump(admin, owner) == before


async def test_what_people_took_away_does_not_come_back_with_a_merge_done_once_more(
    pool: Pool, admin: asyncpg.Connection
) -> None:
    owner = await create_user(admin, "Ada")
    third = NewContact(full_name="Ada C.", company="Engines", tags=["x"], notes="Met.")
    book = {"links": [], "interests": [], "archived": set[int]()}
    people = [NewContact(full_name="Ada"), NewContact(full_name="Ada B.", job_title="Poet"), third]
    ids = await fill(pool, owner, {**book, "contacts": people})
    async with begin(pool, user_actor(owner)) as tx:
        first, _ = [await merges.merge(tx, KEYS, ids[0], each, MOVERS) for each in (ids[1], ids[2])]
        emptied = ChangeContact(company=None, tags=[], notes=None)
        await contacts.change_contact(tx, KEYS, ids[0], emptied)
        await merges.undo(tx, KEYS, first.id, MOVERS)
        now = await contacts.get_contact(tx, KEYS, ids[0])
    assert (now.job_title, now.company, now.tags, now.notes) == (None, None, [], None)


async def test_a_merge_is_undone_after_the_keys_were_rotated(
    pool: Pool, system_pool: Pool, admin: asyncpg.Connection
) -> None:
    owner = await create_user(admin, "Ada")
    people = [NewContact(full_name=name, notes=name) for name in ("One", "Two")]
    rotated = Process(system_pool, KeyRing.parse(FIELD_KEYS))
    async with begin(pool, user_actor(owner)) as tx:
        kept, merged = await contacts.add_contacts(tx, KEYS, people)
        made = await merges.merge(tx, KEYS, kept, merged, MOVERS)
    assert (await rotate(rotated)).resealed == 2
    keys = Keys(rotated.cipher, INDEX_KEY)
    async with begin(pool, user_actor(owner)) as tx:
        assert (await contacts.get_contact(tx, keys, kept)).notes == "One\n\nTwo"
        await merges.undo(tx, keys, made.id, MOVERS)
        notes = [(await contacts.get_contact(tx, keys, each)).notes for each in (kept, merged)]
    assert notes == ["One", "Two"]


async def test_every_table_that_names_a_contact_says_what_a_merge_does_to_it(
    admin: asyncpg.Connection,
) -> None:
    naming = await admin.fetch(
        """SELECT DISTINCT c.conrelid::regclass::text AS name
        FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid AND NOT t.relispartition
        WHERE c.contype = 'f' AND c.confrelid = 'contacts'::regclass"""
    )
    said = [item.name.partition(".")[0] for item in (*MOVERS, *STAYS)]
    assert sorted(row["name"] for row in naming) == sorted(set(said))


async def test_rows_that_are_said_not_to_meet_are_unique_whatever_contact_they_name(
    admin: asyncpg.Connection,
) -> None:
    unique = await admin.fetch(
        """SELECT i.indrelid::regclass::text AS name FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indisunique AND a.attname LIKE '%contact%'"""
    )
    naming = {row["name"] for row in unique}
    assert "circle_members" in naming
    assert naming.isdisjoint(mover.name for mover in MOVERS if not mover.can_meet)


async def test_a_strangers_rows_neither_move_nor_are_moved_to(
    pool: Pool, admin: asyncpg.Connection
) -> None:
    book = {"links": [], "interests": [(0, "chess", 1.0)], "archived": set[int]()}
    people = [NewContact(full_name=name) for name in ("One", "Two")]
    ada, eve = await create_user(admin, "Ada"), await create_user(admin, "Eve")
    hers = await fill(pool, ada, {**book, "contacts": people})
    mine = await fill(pool, eve, {**book, "contacts": people})
    before = await dump(admin, ada), await dump(admin, eve)
    mover = rows("interests")
    async with begin(pool, user_actor(eve)) as tx:
        assert await mover.move(tx, hers[0], hers[1]) == msgspec.Raw(b"[]")
        assert await mover.move(tx, hers[0], mine[1]) == msgspec.Raw(b"[]")
    with pytest.raises(Conflict):
        async with begin(pool, user_actor(eve)) as tx:
            await mover.move(tx, mine[0], hers[1])
    assert (await dump(admin, ada), await dump(admin, eve)) == before
