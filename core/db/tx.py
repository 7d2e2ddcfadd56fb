"""One transaction of one actor, opened by its first query."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from core.actor import Actor
from core.db.failure import translated
from core.db.pool import Pool

network_forbidden: "ContextVar[Tx | None]" = ContextVar("network_forbidden", default=None)
"""The transaction around the current code; while it is open, nothing may wait for a network."""

# Transaction-local settings (`true`), so that nothing of an actor outlives the transaction.
_SET_CONTEXT = """
SELECT
  set_config('statement_timeout', $1, true),
  set_config('app.user_id', $2, true),
  set_config('app.role', $3, true),
  set_config('app.actor_kind', $4, true),
  set_config('app.request_id', $5, true),
  set_config('app.ip', $6, true),
  set_config('app.user_agent', $7, true),
  set_config('app.endpoint', $8, true)
"""


class Tx:
    """Lazy: no query, no connection. Committed by `begin`, or rolled back on an exception."""

    def __init__(self, pool: Pool, actor: Actor, *, read_only: bool) -> None:
        self.actor = actor
        self._pool = pool
        self._read_only = read_only
        self._connection: Any = None
        self._ended = False

    @property
    def is_open(self) -> bool:
        """Whether a query ran, so that locks and a connection are held."""
        return self._connection is not None

    async def connection(self) -> Any:  # noqa: ANN401  # asyncpg's pool proxy has no public type
        """Return the connection inside the transaction; for core.db only."""
        if self._connection is not None:
            return self._connection
        if self._ended:
            raise RuntimeError("the transaction has ended")
        connection = await self._pool.acquire()
        try:
            with translated():
                await connection.execute("BEGIN READ ONLY" if self._read_only else "BEGIN")
                await connection.fetchrow(_SET_CONTEXT, *self._context())
        except BaseException:
            await self._pool.discard(connection)
            raise
        self._connection = connection
        return connection

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back, and give the connection back whatever happens."""
        self._ended = True
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with translated():
                status = await connection.execute("COMMIT" if commit else "ROLLBACK")
        except BaseException:
            # Its state is unknown: the server rolls back when the connection is gone.
            await self._pool.discard(connection)
            raise
        await self._pool.release(connection)
        if commit and status != "COMMIT":
            # PostgreSQL answers COMMIT after a failed statement with ROLLBACK.
            raise RuntimeError("a statement had failed and was ignored: nothing is committed")

    def _context(self) -> tuple[str, ...]:
        actor = self.actor
        return (
            str(self._pool.statement_timeout_ms),
            str(actor.user_id or ""),
            actor.role,
            actor.kind,
            actor.request_id,
            actor.ip,
            actor.user_agent,
            actor.endpoint,
        )


@asynccontextmanager
async def begin(pool: Pool, actor: Actor, *, read_only: bool = False) -> AsyncGenerator[Tx]:
    """Open a unit of work; rows appear to others when the block ends without an exception."""
    tx = Tx(pool, actor, read_only=read_only)
    outer = network_forbidden.get()
    network_forbidden.set(tx)
    try:
        yield tx
    except BaseException as error:
        network_forbidden.set(outer)
        try:
            await tx.end(commit=False)
        except Exception as failure:  # noqa: BLE001  # the first error is the one to tell
            error.add_note(f"the rollback failed too: {failure}")
        raise
    else:
        network_forbidden.set(outer)
        await tx.end(commit=True)


def assert_no_transaction() -> None:
    """Raise when the current code runs inside an open transaction; callers then use a network."""
    tx = network_forbidden.get()
    if tx is not None and tx.is_open:
        raise RuntimeError("network call inside an open transaction")
