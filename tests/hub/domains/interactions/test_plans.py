"""A page reads one user's part of the table, by an index that has the page's order."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core.ids import new_id
from hub.domains.interactions import queries, rules
from tests.fixtures.postgres import Database
from tests.fixtures.world import create_user

NEWEST = (rules.LATEST, UUID(int=0), rules.EARLIEST, None, 51)


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield node, table and index of everything that was really read."""
    if "Relation Name" in plan and plan["Actual Loops"]:
        yield plan["Node Type"], plan["Relation Name"], plan.get("Index Name", "")
    for below in plan.get("Plans", ()):
        yield from scans(below)


async def plan_of(database: Database, user: UUID, sql: str, *args: Any) -> dict[str, Any]:
    connection: Any = await asyncpg.connect(database.api_url)
    try:
        async with connection.transaction():
            # Tables of a test are so small that reading them whole is cheapest.
            await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(user))
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    finally:
        await connection.close()
    return json.loads(found)[0]["Plan"]


@pytest.mark.req("INT-02", "INT-07")
async def test_a_page_reads_one_part_in_its_order(admin: Any, database: Database) -> None:
    ada = await create_user(admin, "Ada")
    await admin.execute(
        """INSERT INTO interactions (user_id, kind, occurred_at)
        SELECT $1, 'call', now() FROM generate_series(1, 60)""",
        ada,
    )
    for listed, args in (
        (queries.list_interactions, (ada, *NEWEST)),
        (queries.list_of_kind, (ada, *NEWEST, "call")),
        (queries.list_of_contact, (ada, *NEWEST, None, new_id())),
    ):
        plan = await plan_of(database, ada, listed.sql, *args)
        read = [item for item in scans(plan) if item[1].startswith("interactions")]
        assert len({table for _, table, _ in read}) == 1, read
        assert {node for node, _, _ in read} <= {"Index Scan", "Index Only Scan"}, read
        assert "Sort" not in str(plan) or listed is queries.list_of_contact
