"""Kinds of relationships: everybody's five and one's own, and which of them a contact's is of."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from core.db import Conflict, Tx
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.relationship_types import queries, rules
from hub.domains.relationship_types.schemas import (
    TYPES_MAX,
    ChangeType,
    NewType,
    RelationshipType,
    ScoringWeights,
    TypeRow,
)
from hub.http import page

TYPES_LISTING: Final = "relationship_types"
CONTACT_TYPES_LISTING: Final = "contact_types"


async def list_types(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[RelationshipType]:
    """Return all kinds that the actor may use."""
    after = page.decode_cursor(cursor, TYPES_LISTING, tuple[UUID])
    rows = await queries.list_types.all(tx, after and after[0], limit + 1)
    shown = [_shown(row) for row in rows]
    return page.paginate(shown, limit, TYPES_LISTING, lambda item: (item.id,))


async def get_type(tx: Tx, type_id: UUID) -> RelationshipType:
    """Return a kind; raises relationship.type_not_found."""
    row = await queries.find_type.first(tx, type_id)
    if row is None:
        raise DomainError("relationship.type_not_found")
    return _shown(row)


async def add_type(tx: Tx, new: NewType) -> RelationshipType:
    """Add a kind of one's own."""
    weights = _checked(new.scoring_weights)
    await queries.lock_types.run(tx)
    if await queries.count_own_types.one(tx) >= TYPES_MAX:
        raise DomainError("relationship.type_limit")
    if await queries.has_type_named.one(tx, new.name):
        raise DomainError("relationship.type_name_taken")
    type_id = await queries.add_type.one(tx, new.name, new.display_name, weights, new.decay_rate)
    return await get_type(tx, type_id)


async def change_type(tx: Tx, type_id: UUID, change: ChangeType) -> RelationshipType:
    """Change what is given of one of one's own kinds; the contacts' health follows."""
    await _require_own(tx, type_id)
    await queries.change_type.run(
        tx,
        type_id,
        None if change.display_name is UNSET else change.display_name,
        _checked(change.scoring_weights),
        None if change.decay_rate is UNSET else change.decay_rate,
    )
    return await get_type(tx, type_id)


async def remove_type(tx: Tx, type_id: UUID) -> None:
    """Remove one of one's own kinds, from contacts too."""
    await _require_own(tx, type_id)
    await queries.remove_type.run(tx, type_id)


async def list_of_contact(
    tx: Tx, contact_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[RelationshipType]:
    """Return of which kinds the relationship with a contact is."""
    await contacts.find(tx, contact_id)
    after = page.decode_cursor(cursor, CONTACT_TYPES_LISTING, tuple[UUID])
    rows = await queries.list_types_of_contact.all(tx, contact_id, after and after[0], limit + 1)
    shown = [_shown(row) for row in rows]
    return page.paginate(shown, limit, CONTACT_TYPES_LISTING, lambda item: (item.id,))


async def put_on_contact(tx: Tx, contact_id: UUID, type_id: UUID) -> None:
    """Say of which kind a relationship is, among others; again is harmless."""
    if (await contacts.find(tx, contact_id)).is_self:
        raise DomainError("contact.self")
    await get_type(tx, type_id)
    try:
        await queries.add_type_of_contact.run(tx, contact_id, type_id)
    except Conflict:  # one of the two was taken away meanwhile
        raise DomainError("relationship.type_not_found") from None


async def take_from_contact(tx: Tx, contact_id: UUID, type_id: UUID) -> None:
    """Say that a relationship is not of a kind; again is harmless."""
    await contacts.find(tx, contact_id)
    await get_type(tx, type_id)
    await queries.remove_type_of_contact.run(tx, contact_id, type_id)


async def _require_own(tx: Tx, type_id: UUID) -> None:
    if (await get_type(tx, type_id)).is_builtin:
        raise DomainError("relationship.type_builtin")


def _checked(weights: ScoringWeights | UnsetType) -> bytes | None:
    if weights is UNSET:
        return None
    if not rules.sums_to_one(weights):
        raise DomainError("relationship.type_weights")
    return msgspec.json.encode(weights)


def _shown(row: TypeRow) -> RelationshipType:
    return RelationshipType(
        id=row.id,
        name=row.name,
        display_name=row.display_name,
        scoring_weights=msgspec.json.decode(row.scoring_weights, type=ScoringWeights),
        decay_rate=row.decay_rate,
        is_builtin=row.is_builtin,
    )
