"""Transactions of administrators: the token claims the role, and the database confirms it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.db import Tx
from core.errors import DomainError
from hub.http import queries
from hub.http.auth import require_admin
from hub.http.deps import Connection, acting_as, actor


@asynccontextmanager
async def administering(
    connection: Connection, *, over_all: bool = False, serializable: bool = False
) -> AsyncGenerator[Tx]:
    """Begin a transaction of a signed-in administrator, who stays its actor, or raise.

    As `ping_admin`, which sees what policies give to administrators; `over_all` users' rows as
    `ping_system`. A token whose role was taken away a moment ago opens none.
    """
    require_admin(connection)
    who = actor(connection)
    async with acting_as(connection, who, over_all=over_all, serializable=serializable) as tx:
        if not await queries.is_admin.one(tx):
            raise DomainError("auth.forbidden")
        if not over_all:
            await queries.become_admin.run(tx)
        yield tx
