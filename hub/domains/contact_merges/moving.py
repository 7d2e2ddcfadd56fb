"""What a slice says of its rows that name a contact: how they move when two contacts become one.

Each slice joins the registry of `hub/wiring/merging.py`; a test asks it of every foreign key to
contacts. What a mover returns is kept in the merge, and handed to its `undo`.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.contact_merges import queries


class Mover(msgspec.Struct, frozen=True):
    """Moves what hangs on a contact of the actor to another one, and back."""

    name: str
    """Of the table; under it the merge keeps what `move` returned."""
    move: Callable[[Tx, UUID, UUID], Awaitable[msgspec.Raw]]
    """Takes the contact that has the rows and the one that gets them."""
    undo: Callable[[Tx, UUID, UUID, msgspec.Raw], Awaitable[None]]
    """Takes the same two, in the same order, and what `move` returned; the rest stays."""


class Stays(msgspec.Struct, frozen=True):
    """A table whose rows stay with the contact that was merged away, and why."""

    name: str
    why: str


def rows(table: str, column: str = "contact_id", key: tuple[str, ...] = ("id",)) -> Mover:
    """Return the mover of rows that merely name a contact.

    A row that the kept contact has already, by a unique key, stays where it is. `key` tells a
    contact's rows apart.
    """

    async def move(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
        return await queries.move_rows.one(tx, table, column, list(key), from_id, to_id, None)

    async def undo(tx: Tx, from_id: UUID, to_id: UUID, moved: msgspec.Raw) -> None:
        await queries.move_rows.one(tx, table, column, list(key), to_id, from_id, moved)

    return Mover(table, move, undo)
