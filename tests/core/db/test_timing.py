"""Each statement is timed by its name; a slow one is logged with its plan, without parameters."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from core.actor import SYSTEM
from core.db import Pool, begin, command, query, timing
from core.errors import DomainError
from tests.fixtures.postgres import Database

NAP = query(str, "SELECT pg_sleep($2)::text || $1::text", login="system")
RENAME = command("UPDATE users SET full_name = $1 WHERE full_name = $2", login="system")
NAPPING = query(int, "SELECT 1 FROM pg_sleep(0.05)", login="system")
SECRET = "the parameter of nobody's business"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Return what is logged, with a memory that has not said anything yet."""
    monkeypatch.setattr(timing, "_said", timing.Sparingly())
    with structlog.testing.capture_logs() as lines:
        yield lines


async def explained() -> None:
    while timing._explaining:
        await asyncio.gather(*timing._explaining)


def count(name: str) -> float:
    labels = {"query": name}
    return REGISTRY.get_sample_value("pinghub_query_seconds_count", labels) or 0.0


async def test_a_statement_is_counted_by_the_name_that_its_module_gives_it(
    system_pool: Pool,
) -> None:
    before = count(NAPPING.name)
    async with begin(system_pool, SYSTEM) as tx:
        await NAPPING.one(tx)
        await NAPPING.all(tx)
        await NAPPING.first(tx)
    assert NAPPING.name.endswith(".NAPPING")
    assert count(NAPPING.name) == before + 3


async def test_a_slow_one_is_logged_once_with_its_plan_and_no_parameter(
    database: Database, logged: list[dict[str, Any]]
) -> None:
    pool = await Pool.open(database.system_url, slow_query_seconds=1e-9)
    async with begin(pool, SYSTEM) as tx:
        await RENAME.run(tx, SECRET, SECRET)
        await RENAME.run(tx, SECRET, SECRET)
    await explained()
    await pool.close()
    (line,) = [line for line in logged if line["event"] == "query_slow"]
    assert (line["query"], line["times"]) == (RENAME.name, 1)
    assert any("Update on users" in step for step in line["plan"])
    assert "$2" in "".join(line["plan"])
    assert SECRET not in str(logged)


async def test_one_that_ran_into_its_timeout_is_slow_too(
    database: Database, logged: list[dict[str, Any]]
) -> None:
    pool = await Pool.open(
        database.system_url, statement_timeout_seconds=0.05, slow_query_seconds=0.04
    )
    before = count(NAP.name)
    with pytest.raises(DomainError):
        async with begin(pool, SYSTEM) as tx:
            await NAP.one(tx, SECRET, 60.0)
    await explained()
    await pool.close()
    assert count(NAP.name) == before + 1
    assert [line["query"] for line in logged] == [NAP.name]
    assert SECRET not in str(logged)


async def test_a_quick_one_is_not_logged(system_pool: Pool, logged: list[dict[str, Any]]) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        await RENAME.run(tx, SECRET, SECRET)
    await explained()
    assert logged == []


async def test_without_a_plan_it_is_logged_all_the_same(logged: list[dict[str, Any]]) -> None:
    away = await Pool.open("postgresql://nobody@127.0.0.1:1/nowhere")
    timing.note_slow(away, "users.slow", "SELECT 1", 2.5)
    timing.note_slow(away, "users.slower", "SELECT 1", 3.5)
    await explained()
    await away.close()
    by_query = {line["query"]: line for line in logged}
    assert by_query["users.slow"]["no_plan"] == "service.unavailable"
    # Only one is explained at a time.
    assert "no_plan" not in by_query["users.slower"]
    assert by_query["users.slower"]["seconds"] == 3.5
