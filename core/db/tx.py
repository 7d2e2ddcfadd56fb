"""One transaction of one actor, opened by its first query."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

from core.actor import Actor
from core.db.failure import translated
from core.db.pool import Pool
from core.errors import DomainError

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

    def __init__(
        self,
        pool: Pool,
        actor: Actor,
        *,
        read_only: bool,
        serializable: bool = False,
        spare: Pool | None = None,
    ) -> None:
        self.actor = actor
        self.pool = pool
        self._spare = spare
        # Otherwise READ COMMITTED: every statement sees what was committed before it.
        isolation = "ISOLATION LEVEL SERIALIZABLE" if serializable else ""
        self._mode = f"{isolation} READ ONLY" if read_only else isolation
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
        try:
            self._connection = await self._open()
        except DomainError as error:
            if self._spare is None or error.code != "service.unavailable":
                raise
            self.pool, self._spare = self._spare, None
            self._connection = await self._open()
        return self._connection

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
            await self.pool.discard(connection)
            raise
        await self.pool.release(connection)
        if commit and status != "COMMIT":
            # PostgreSQL answers COMMIT after a failed statement with ROLLBACK.
            raise RuntimeError("a statement had failed and was ignored: nothing is committed")

    async def _open(self) -> Any:  # noqa: ANN401  # as above
        connection = await self.pool.acquire()
        try:
            with translated():
                await connection.execute(self._opening())
        except BaseException:
            await self.pool.discard(connection)
            raise
        return connection

    def _opening(self) -> str:
        actor = self.actor
        return _OPENING.format(
            mode=self._mode,
            timeout=_literal(str(self.pool.statement_timeout_ms)),
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
async def begin(
    pool: Pool,
    actor: Actor,
    *,
    read_only: bool = False,
    serializable: bool = False,
    spare: Pool | None = None,
) -> AsyncGenerator[Tx]:
    """Open a unit of work; rows appear to others when the block ends without an exception.

    A serializable one sees the rows of its first query until it ends, and fails as `Raced` where
    others have changed what it decided by: then nothing is done, and its block may be run again.
    `spare` is taken when the first query finds that `pool` cannot be reached.
    """
    tx = Tx(pool, actor, read_only=read_only, serializable=serializable, spare=spare)
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
