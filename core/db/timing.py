"""How long each registered statement takes, and the plan of one that was slow.

A plan is the generic one: it is made without the parameters, so that none can stand in the log.
"""

import asyncio
from itertools import count
from typing import Any, Final

from prometheus_client import Histogram

from core import log
from core.actor import ANONYMOUS
from core.db.failure import translated
from core.db.pool import Pool
from core.db.tx import begin
from core.errors import DomainError
from core.sparingly import Sparingly

SECONDS: Final = Histogram(
    "pinghub_query_seconds",
    "From a statement to its rows, waiting for locks included, by registered name",
    ["query"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0),
)

_log = log.get("db")
_said = Sparingly()
_numbers = count(1)
_explaining: set[asyncio.Task[None]] = set()


def note_slow(pool: Pool, name: str, sql: str, seconds: float) -> None:
    """Log a slow statement and its plan, by name once a minute with how often it was slow."""
    times = _said.turn(name)
    if not times:
        return
    fields = {"query": name, "seconds": round(seconds, 3), "times": times}
    # One at a time: a database that is slow already must not be asked for plans by everybody.
    if _explaining:
        _log.warning("query_slow", **fields)
        return
    task = asyncio.get_running_loop().create_task(_explain(pool, sql, fields))
    _explaining.add(task)
    task.add_done_callback(_explaining.discard)


async def _explain(pool: Pool, sql: str, fields: dict[str, Any]) -> None:
    try:
        # As the same login, whose policies are part of the plan.
        async with begin(pool, ANONYMOUS, read_only=True) as tx:
            connection = await tx.connection()
            with translated():
                plan = await _generic_plan(connection, sql)
    except DomainError as error:
        _log.warning("query_slow", **fields, no_plan=error.code)
    else:
        _log.warning("query_slow", **fields, plan=plan)


async def _generic_plan(connection: Any, sql: str) -> list[str]:  # noqa: ANN401  # asyncpg has no public type
    """Return the plan of a statement for whatever parameters; nothing is executed.

    Prepared by SQL: the driver's own protocol would plan for the values that it has to send.
    """
    # A number of its own: one whose plan failed stays prepared as long as its connection.
    name = f"explained_{next(_numbers)}"
    await connection.execute(f"PREPARE {name} AS {sql}")
    parameters = await connection.fetchval(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1", name
    )
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    rows = await connection.fetch(f"EXPLAIN EXECUTE {name}{values}")
    await connection.execute(f"DEALLOCATE {name}")
    return [row[0] for row in rows]
