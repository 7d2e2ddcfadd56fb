"""The registry of queries. Each is prepared against the migrated database by a test.

Columns are assigned to the fields of the row Struct by position; the test compares names and types.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Literal, LiteralString, TypeVar

import msgspec

from core import clock
from core.db import timing
from core.db.failure import translated
from core.db.tx import Tx

Row = TypeVar("Row")
Login = Literal["api", "worker", "system", "owner"]


class _Statement:
    """A text that is sent, by whom, and how long that takes."""

    def __init__(self, sql: str, login: Login, module: str) -> None:
        self.sql = sql
        self.login: Login = login
        self.module = module
        self._observe: Callable[[float], None] | None = None

    @property
    def name(self) -> str:
        """`slice.variable`, such as `accounts.find_me`: what metrics and the log call it."""
        module = sys.modules.get(self.module)
        variables = [name for name, value in vars(module).items() if value is self]
        return ".".join((self.module.removesuffix(".queries").rpartition(".")[2], *variables[:1]))

    def _took(self, tx: Tx, started_at: float) -> None:
        """Count one execution, also one that failed: what ran into a timeout is the slowest."""
        seconds = clock.monotonic_seconds() - started_at
        if self._observe is None:
            self._observe = timing.SECONDS.labels(self.name).observe
        self._observe(seconds)
        if seconds >= tx.pool.slow_query_seconds:
            timing.note_slow(tx.pool, self.name, self.sql, seconds)


class Query(_Statement, Generic[Row]):
    """A statement that returns rows."""

    def __init__(self, row: type[Row], sql: str, login: Login, module: str) -> None:
        super().__init__(sql, login, module)
        self.row = row
        self._is_struct = issubclass(row, msgspec.Struct)

    async def all(self, tx: Tx, *args: object) -> list[Row]:
        """Return all rows."""
        connection = await tx.connection()
        started_at = clock.monotonic_seconds()
        try:
            with translated():
                records = await connection.fetch(self.sql, *args)
        finally:
            self._took(tx, started_at)
        if self._is_struct:
            return [self.row(*record) for record in records]
        return [record[0] for record in records]

    async def first(self, tx: Tx, *args: object) -> Row | None:
        """Return the first row, or None."""
        connection = await tx.connection()
        started_at = clock.monotonic_seconds()
        try:
            with translated():
                record = await connection.fetchrow(self.sql, *args)
        finally:
            self._took(tx, started_at)
        return None if record is None else self._make(record)

    async def one(self, tx: Tx, *args: object) -> Row:
        """Return the only row, or raise LookupError."""
        rows = await self.all(tx, *args)
        if len(rows) != 1:
            raise LookupError(f"{len(rows)} rows instead of one")
        return rows[0]

    def _make(self, record: Sequence[Any]) -> Row:
        return self.row(*record) if self._is_struct else record[0]


class Command(_Statement):
    """A statement that returns nothing but how many rows it touched."""

    async def run(self, tx: Tx, *args: object) -> int:
        """Execute; return the number of affected rows."""
        connection = await tx.connection()
        started_at = clock.monotonic_seconds()
        try:
            with translated():
                status = await connection.execute(self.sql, *args)
        finally:
            self._took(tx, started_at)
        return _affected(status)


REGISTRY: Final[list[Query[Any] | Command]] = []


def query(
    row: type[Row], sql: LiteralString, *, columns: LiteralString = "", login: Login = "api"
) -> Query[Row]:
    """Register a statement. `row`: a Struct, or the type of a single column.

    `{columns}` in the text stands for `columns`, which several statements of a row share.
    """
    registered = Query(row, sql.replace("{columns}", columns), login, _caller())
    REGISTRY.append(registered)
    return registered


def command(sql: LiteralString, *, login: Login = "api") -> Command:
    """Register a statement that returns no rows."""
    registered = Command(sql, login, _caller())
    REGISTRY.append(registered)
    return registered


def _caller() -> str:
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame else None
    return str(frame.f_globals["__name__"]) if frame else ""


def _affected(status: str) -> int:
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0
