"""The address book of one user with a hundred thousand contacts, beside many others; and merges.

Under the policies, as requests see it: lists in each order, searches by words, and duplicates. Each
is asked in turn of the large book and of one with a thousand contacts, so that the ratio holds on
any machine, however busy.
"""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from core.db import Pool, begin
from core.db.pool import set_codecs
from hub.domains.contact_merges import queries as suggesting
from hub.domains.contact_merges import service as merges
from hub.domains.contact_search import queries
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import NewContact
from hub.wiring.merging import MOVERS
from tests.bench.figures import percentile, show
from tests.fixtures.app import user_actor
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user
from tests.hub.domains.contact_merges.test_undo import KEYS

pytestmark = pytest.mark.bench

CONTACTS = 100_000
SMALL = 1_000
FEW = 1_000
MANY = 20_000
OTHERS = 200
ROUNDS = 40
PAGE_MS = 20.0
NO_FILTER = (False, None, None, None, None, 51)

_LOAD = f"""
INSERT INTO users (full_name) SELECT 'User ' || n FROM generate_series(0, {OTHERS}) AS n;
SET session_replication_role = replica;
CREATE TEMP TABLE people AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM users;
INSERT INTO contacts (user_id, full_name, company, tags, strength, last_interaction_at,
  name_plain, name_words, company_plain, search)
SELECT p.id, w.first || ' ' || w.last, w.company, '{{}}', random(),
  CASE WHEN g % 3 > 0 THEN now() - g * interval '1 hour' END,
  w.first || ' ' || w.last, w.first || ' ' || w.last, w.company,
  array_to_tsvector(ARRAY(
    SELECT right(p.id::text, 8) || word FROM unnest(ARRAY[w.first, w.last, w.company]) AS word
  ))
FROM people AS p
CROSS JOIN LATERAL generate_series(1, CASE p.n WHEN 0 THEN {CONTACTS} ELSE {SMALL} END) AS g
CROSS JOIN LATERAL (
  SELECT 'a' || g * 7919::bigint % 2003 AS first, 'b' || g * 104729::bigint % 50021 AS last,
    'c' || g % 997 AS company
) AS w;
INSERT INTO contact_methods (user_id, contact_id, kind, value, value_hash)
SELECT c.user_id, c.id, 'email', '', sha256((c.user_id::text || c.n - (c.n % 20 = 1)::int)::bytea)
FROM (
  SELECT user_id, id, row_number() OVER (PARTITION BY user_id ORDER BY id) AS n
  FROM contacts WHERE NOT is_self
) AS c;
"""


class Books:
    """The books of two users, asked over one connection that is bound by the policies."""

    def __init__(self, connection: asyncpg.Connection, large: UUID, small: UUID) -> None:
        self.connection = connection
        self.owners = (large, small)

    async def ask(self, owner: UUID, sql: str, *arguments: Any) -> tuple[float, list[Any]]:
        """Return how many seconds an answer took, and the answer."""
        await self.connection.execute("SELECT set_config('app.user_id', $1, true)", str(owner))
        statement = await self.connection.prepare(sql)
        begun = time.perf_counter()
        found = await statement.fetch(*arguments)
        return time.perf_counter() - begun, found

    async def show(
        self, name: str, sql: str, arguments: Sequence[Sequence[Any]], rounds: int = ROUNDS
    ) -> float:
        """Print what a statement takes in both books; return the median of the large one."""
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for owner, given, times in zip(self.owners, arguments, taken, strict=True):
                times.append((await self.ask(owner, sql, *given))[0])
        large, small = (percentile(times, 0.5) for times in taken)
        show(name, taken[0], f"{large / small:5.1f} times a book of {SMALL}")
        return large


_INTERACTIONS = """
INSERT INTO interactions (
  user_id, contact_id, kind, direction, occurred_at, source, external_id
)
SELECT $1, $2, 'call', 'outbound', now() - n * interval '1 hour', 'manual', $3 || '-' || n
FROM generate_series(1, $3::int) AS n
"""


@pytest_asyncio.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    superuser = await asyncpg.connect(database.superuser_url)
    begun = time.perf_counter()
    await superuser.execute(_LOAD)
    await superuser.execute("VACUUM ANALYZE")
    owners = await superuser.fetch(
        "SELECT user_id FROM contacts GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 2"
    )
    await superuser.close()
    print(f"\nloaded in {time.perf_counter() - begun:.0f} s")
    connection = await asyncpg.connect(database.api_url)
    await set_codecs(connection)
    await connection.execute("BEGIN")
    yield Books(connection, *(row["user_id"] for row in owners))
    await connection.close()


async def test_pages_and_searches_of_a_large_address_book(books: Books) -> None:
    middles = [
        (
            await books.ask(
                owner,
                """SELECT id, name_plain, strength,
                  coalesce(last_interaction_at, to_timestamp(0)) AS at
                FROM contacts WHERE user_id = app.user_id() ORDER BY id OFFSET $1 LIMIT 1""",
                amount // 2,
            )
        )[1][0]
        for owner, amount in zip(books.owners, (CONTACTS, SMALL), strict=True)
    ]
    slow: list[str] = []
    for name, sql, place in (
        ("list recent", queries.list_recent.sql, ("id",)),
        ("list by name", queries.list_by_name.sql, ("name_plain", "id")),
        ("list by strength", queries.list_by_strength.sql, ("strength", "id")),
        ("list by interaction", queries.list_by_interaction.sql, ("at", "id")),
    ):
        given = [(*NO_FILTER, *(middle[each] for each in place)) for middle in middles]
        # Half of them: the slow ones say what else the machine does.
        slow += [name] if await books.show(name, sql, given) * 1000 > PAGE_MS else []
    for name, text in (
        ("search rare", "a17 b1"),
        ("search common", "a1"),
        ("search nothing", "zzz"),
    ):
        given = [(text, False, None, 51)] * 2
        taken = await books.show(name, queries.search.sql, given)
        slow += [name] if taken * 1000 > PAGE_MS else []
    await books.show("duplicates", suggesting.list_candidates.sql, [(10, 5000)] * 2, rounds=3)
    _, pairs = await books.ask(books.owners[0], suggesting.list_candidates.sql, 10, 5000)
    assert len(pairs) == CONTACTS // 20 - 1
    assert not slow


async def test_merges_of_contacts_with_many_interactions(database: Database) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    owner = await create_user(superuser, "Ada")
    pool = await Pool.open(database.api_url, max_size=1, statement_timeout_seconds=120)
    people = [NewContact(full_name=name) for name in ("One", "Two", "Three", "Four")]
    async with begin(pool, user_actor(owner)) as tx:
        kept, first, few, many = await contacts.add_contacts(tx, KEYS, people)
    for contact, amount in ((few, FEW), (many, MANY)):
        await superuser.execute(_INTERACTIONS, owner, contact, amount)
    taken: list[float] = []
    made: list[UUID] = []
    for each in (first, few, many):
        begun = time.perf_counter()
        async with begin(pool, user_actor(owner)) as tx:
            made.append((await merges.merge(tx, KEYS, kept, each, MOVERS)).id)
        taken.append(time.perf_counter() - begun)
    for merge_id in (made[0], made[2]):
        begun = time.perf_counter()
        async with begin(pool, user_actor(owner)) as tx:
            await merges.undo(tx, KEYS, merge_id, MOVERS)
        taken.append(time.perf_counter() - begun)
    await pool.close()
    await superuser.close()
    said = (
        "merge of no interactions",
        f"merge of {FEW}",
        f"merge of {MANY}",
        "undo of the first of the three",
        f"undo of {MANY}",
    )
    for name, seconds in zip(said, taken, strict=True):
        show(name, [seconds], f"{seconds / taken[1]:5.1f} times a merge of {FEW}")
    # Twenty times as many: not four hundred times as long.
    assert taken[2] < 60 * taken[1]
