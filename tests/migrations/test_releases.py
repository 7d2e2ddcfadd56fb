"""A release is for ever: its migrations stay, older processes go on, and one can go back to it."""

import asyncpg
import pytest

from hub.processes import migrating
from migrations import releases
from migrations.releases import FrozenQuery, Release
from tests.fixtures.postgres import Database

# Statements of the newest release that its successor does not answer, and why nobody misses them.
# What is taken away must have been out of use in a release before: docs/migrations.md.
TAKEN_AWAY: dict[str, str] = {}


@pytest.mark.parametrize("release", releases.read_all(), ids=lambda release: release.version)
def test_the_migrations_of_a_release_are_as_they_were(release: Release) -> None:
    names = migrating.scripts_up_to(release.revision)
    assert releases.checksums(names) == release.scripts


async def test_processes_of_the_newest_release_are_served_by_this_schema(
    pristine: Database,
) -> None:
    """While they are replaced one by one, they send their statements to it."""
    release = releases.read_all()[-1]
    assert len(release.queries) > 100
    refused: dict[str, str] = {}
    for login in ("api", "worker", "system"):
        refused |= await refusals(
            getattr(pristine, f"{login}_url"),
            [query for query in release.queries if query.login == login],
        )
    assert {name: why for name, why in refused.items() if name not in TAKEN_AWAY} == {}
    assert set(TAKEN_AWAY) <= set(refused), "these are answered: take them off the list"


async def test_a_statement_that_this_schema_does_not_answer_is_found(pristine: Database) -> None:
    gone = [
        FrozenQuery("users.by_shoe", "api", "SELECT shoe_size FROM users"),
        FrozenQuery("users.outbox", "api", "SELECT seq FROM outbox"),
    ]
    assert set(await refusals(pristine.api_url, gone)) == {"users.by_shoe", "users.outbox"}


async def refusals(url: str, queries: list[FrozenQuery]) -> dict[str, str]:
    """Return why statements cannot be planned, by name: columns, types and rights."""
    found: dict[str, str] = {}
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        for query in queries:
            try:
                await connection.execute("EXPLAIN (GENERIC_PLAN) " + query.sql)
            except asyncpg.PostgresError as error:
                found[query.name] = str(error)
    finally:
        await connection.close()
    return found
