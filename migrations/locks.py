"""All locks of a migration are taken before it changes anything, or none is kept.

A statement that waits for a table makes every later request to that table wait behind it. So a
migration waits for a moment only, and gives all tables back before it tries again.
"""

from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core import clock

# PostgreSQL looks for deadlocks after a second of waiting: who gives way earlier is never the
# reason for which a request is chosen as the victim.
TAKING_SECONDS: Final = 0.8
"""How long all locks together may take; requests wait behind the first ones meanwhile."""

BLOCKED_CODES: Final = frozenset({"55P03", "57014", "40P01"})
"""SQLSTATEs of a migration that did not get its locks: timeouts, and a deadlock."""


def take(connection: Connection, lock_seconds: float, contended: list[str]) -> None:
    """Lock every table of the service until the transaction ends, or raise one of BLOCKED_CODES.

    A request that holds a later table may wait for an earlier one that is ours already. Then the
    later one becomes the first of `contended`, which the next attempt begins with: whoever uses it
    has ended before we have anything that they need.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = {round(lock_seconds * 1000)}"))
    ends_at = clock.monotonic_seconds() + max(TAKING_SECONDS, lock_seconds)
    tables = _tables(connection)
    for table in [*contended, *(name for name in tables if name not in contended)]:
        left_ms = max(1, round((ends_at - clock.monotonic_seconds()) * 1000))
        try:
            connection.execute(text(f"SET LOCAL statement_timeout = {left_ms}"))
            connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        except DBAPIError:
            contended[:] = [table, *(name for name in contended if name != table)]
            raise
    connection.execute(text("SET LOCAL statement_timeout = 0"))


def _tables(connection: Connection) -> list[str]:
    # The objects are applied after any migration, and their policies are on every table. Oldest
    # first, as requests go from users and rings to what belongs to them.
    rows = connection.execute(
        text(
            """
            SELECT oid::regclass::text
            FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
              AND relkind IN ('r', 'p')
              AND NOT relispartition
            ORDER BY oid
            """
        )
    )
    return [str(name) for (name,) in rows]


def holders(connection: Connection) -> str:
    """Say who has tables of the service locked, the ones to wait for."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT activity.usename || ' (pid ' || activity.pid || ')'
            FROM pg_locks
            JOIN pg_class ON pg_class.oid = pg_locks.relation
            JOIN pg_stat_activity AS activity ON activity.pid = pg_locks.pid
            JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE pg_database.datname = current_database()
              AND relnamespace = 'public'::regnamespace
              AND granted
              AND activity.pid != pg_backend_pid()
            ORDER BY 1
            LIMIT 5
            """
        )
    )
    return ", ".join(str(name) for (name,) in rows)
