"""One transaction of one actor, opened by its first query."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

from core.actor import Actor
from core.db.failure import translated
from core.db.pool import Pool

network_forbidden: "ContextVar[Tx | None]" = ContextVar("network_forbidden", default=None)
"""The transaction around the current code; while it is open, nothing may wait for a network."""

# Transaction-local settings (`true`), so that nothing of an actor outlives the transaction. One
# round trip with BEGIN, therefore without parameters: see `_literal`. The second timeout ends the
# transaction of a process that is frozen or unreachable, so that its locks free the others.
_OPENING = """
BEGIN {mode}; SELECT
  set_config('statement_timeout', {timeout}, true),
  set_config('idle_in_transaction_session_timeout', {timeout}, true),
  set_config('app.user_id', {user_id}, true),
  set_config('app.role', {role}, true),
  set_config('app.actor_kind', {kind}, true),
  set_config('app.request_id', {request_id}, true),
  set_config('app.ip', {ip}, true),
  set_config('app.user_agent', {user_agent}, true),
  set_config('app.endpoint', {endpoint}, true)
"""
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.,:;/()+*{}\-]*")


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
                await connection.execute(self._opening())
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

    def _opening(self) -> str:
        actor = self.actor
        return _OPENING.format(
            mode="READ ONLY" if self._read_only else "",
            timeout=_literal(str(self._pool.statement_timeout_ms)),
            user_id=_literal(str(actor.user_id or "")),
            role=_literal(actor.role),
            kind=_literal(actor.kind),
            request_id=_literal(actor.request_id),
            ip=_literal(actor.ip),
            user_agent=_literal(actor.user_agent),
            endpoint=_literal(actor.endpoint),
        )


def _literal(text: str) -> str:
    """Return SQL for a text: quoted where no character can mean anything, else as hex digits."""
    if _PLAIN.fullmatch(text):
        return f"'{text}'"
    digits = text.replace("\0", "").encode(errors="replace").hex()
    return f"convert_from(decode('{digits}', 'hex'), 'UTF8')"


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
