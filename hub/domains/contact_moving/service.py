"""How rows move from a contact to another one: those that merely name it, and a contact's own."""

from typing import Final
from uuid import UUID

import msgspec

from core.db import Tx
from hub.domains.contact_moving import queries
from hub.domains.contact_moving.schemas import Mover, Stays


class _Moved(msgspec.Struct, frozen=True):
    """Keys of rows that moved, and what else was done."""

    keys: msgspec.Raw
    lowered: list[UUID] = []
    """Addresses that were the primary ones of the merged contact."""
    folded: msgspec.Raw = msgspec.Raw(b"[]")


def rows(
    table: str,
    column: str = "contact_id",
    key: tuple[str, ...] = ("id",),
    *,
    can_meet: bool = True,
) -> Mover:
    """Return the mover of rows that merely name a contact.

    A row that the kept contact has already, by a unique key, stays where it is. `key` tells a
    contact's rows apart.
    """

    async def move(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
        return await queries.move_rows.one(tx, table, column, list(key), from_id, to_id, None)

    async def undo(tx: Tx, from_id: UUID, to_id: UUID, moved: msgspec.Raw) -> None:
        await queries.move_rows.one(tx, table, column, list(key), to_id, from_id, moved)

    return Mover(table, move, undo, can_meet)


_ADDRESSES: Final = rows("contact_methods")
_INTERESTS: Final = rows("interests")


async def _move_methods(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
    lowered = await queries.lower_methods.all(tx, from_id, to_id)
    return _packed(_Moved(await _ADDRESSES.move(tx, from_id, to_id), lowered=lowered))


async def _undo_methods(tx: Tx, from_id: UUID, to_id: UUID, moved: msgspec.Raw) -> None:
    done = msgspec.json.decode(moved, type=_Moved)
    await _ADDRESSES.undo(tx, from_id, to_id, done.keys)
    await queries.raise_methods.run(tx, from_id, done.lowered)
    for each in (from_id, to_id):
        await queries.settle_methods.run(tx, each)


async def _move_interests(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
    folded = await queries.fold_interests.one(tx, from_id, to_id)
    return _packed(_Moved(await _INTERESTS.move(tx, from_id, to_id), folded=folded))


async def _undo_interests(tx: Tx, from_id: UUID, to_id: UUID, moved: msgspec.Raw) -> None:
    done = msgspec.json.decode(moved, type=_Moved)
    await _INTERESTS.undo(tx, from_id, to_id, done.keys)
    await queries.unfold_interests.run(tx, done.folded)


async def _move_links(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
    folded = await queries.fold_links.one(tx, from_id, to_id)
    keys = await queries.move_links.all(tx, from_id, to_id, None)
    return _packed(_Moved(msgspec.Raw(msgspec.json.encode(keys)), folded=folded))


async def _undo_links(tx: Tx, from_id: UUID, to_id: UUID, moved: msgspec.Raw) -> None:
    done = msgspec.json.decode(moved, type=_Moved)
    keys = msgspec.json.decode(done.keys, type=list[UUID])
    await queries.move_links.all(tx, to_id, from_id, keys)
    await queries.unfold_links.run(tx, done.folded)


def _packed(done: _Moved) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(done))


OWN_MOVERS: Final = (
    Mover("contact_methods", _move_methods, _undo_methods),
    Mover("interests", _move_interests, _undo_interests),
    Mover("contact_links", _move_links, _undo_links),
)
OWN_STAYS: Final = (
    Stays("contacts", "what was merged into the merged contact is found by following it"),
    Stays("contact_merges", "it says who had what, so that it can be undone"),
    Stays("contact_distinctions", "said of the two contacts that they were"),
)
