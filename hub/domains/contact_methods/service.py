"""How contacts are reached: their addresses."""

from uuid import UUID

from msgspec import UNSET

from core import ids
from core.crypto import Keys
from core.db import Tx
from core.errors import DomainError
from hub.domains.contact_methods import queries
from hub.domains.contact_sealing import service as sealing
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import (
    METHODS_MAX,
    ChangeMethod,
    Method,
    MethodRow,
    NewMethod,
    Source,
)


async def list_methods(
    tx: Tx, keys: Keys, contact_id: UUID, *, owner_id: UUID | None = None
) -> list[Method]:
    """Return a contact's addresses by kind, the primary ones first; raises contact.not_found."""
    await contacts.find(tx, contact_id, owner_id=owner_id)
    rows = await queries.list_methods.all(tx, contacts.owner_of(tx, owner_id), contact_id)
    return [_shown(keys, row) for row in rows]


async def get_method(tx: Tx, keys: Keys, contact_id: UUID, method_id: UUID) -> Method:
    """Return an address of a contact; raises contact.method_not_found."""
    await contacts.find(tx, contact_id)
    row = await queries.find_method.first(tx, contacts.owner_of(tx, None), contact_id, method_id)
    if row is None:
        raise DomainError("contact.method_not_found")
    return _shown(keys, row)


async def add_method(
    tx: Tx,
    keys: Keys,
    contact_id: UUID,
    new: NewMethod,
    *,
    source: Source = "manual",
    owner_id: UUID | None = None,
    region: str | None = None,
) -> tuple[Method, bool]:
    """Add an address and say whether it is new; one that is there in another spelling stays.

    Raises contact.not_found, contact.method_invalid, contact.method_limit.
    """
    owner = contacts.owner_of(tx, owner_id)
    await contacts.hold(tx, [contact_id], owner_id=owner)
    await contacts.find(tx, contact_id, owner_id=owner)
    hashes = sealing.method_hashes(keys, owner, new.kind, new.value, region)
    if not hashes:
        raise DomainError("contact.method_invalid")
    known = await queries.find_known_method.first(tx, owner, contact_id, new.kind, hashes)
    if known is not None:
        return _shown(keys, known), False
    if await queries.count_methods.one(tx, owner, contact_id) >= METHODS_MAX:
        raise DomainError("contact.method_limit")
    method_id = ids.new_id()
    if new.is_primary:
        await queries.unset_primary.run(tx, owner, contact_id, new.kind, method_id)
    await queries.insert_method.run(
        tx,
        method_id,
        owner,
        contact_id,
        new.kind,
        sealing.seal_method(keys, method_id, new.value),
        hashes[0],
        new.label,
        new.is_primary,
        source,
    )
    await queries.choose_primary.run(tx, owner, contact_id, new.kind, None)
    row = await queries.find_method.one(tx, owner, contact_id, method_id)
    return _shown(keys, row), True


async def change_method(
    tx: Tx, keys: Keys, contact_id: UUID, method_id: UUID, change: ChangeMethod
) -> Method:
    """Name an address, or say whether it is the primary one; raises contact.method_not_found."""
    owner = contacts.owner_of(tx, None)
    await contacts.hold(tx, [contact_id], owner_id=owner)
    present = await get_method(tx, keys, contact_id, method_id)
    label = present.label if change.label is UNSET else change.label
    if change.is_primary is True:
        await queries.unset_primary.run(tx, owner, contact_id, present.kind, method_id)
    primary = present.is_primary if change.is_primary is UNSET else change.is_primary
    await queries.change_method.run(tx, owner, contact_id, method_id, label, primary)
    if present.is_primary and not primary:
        await queries.choose_primary.run(tx, owner, contact_id, present.kind, method_id)
    return await get_method(tx, keys, contact_id, method_id)


async def remove_method(tx: Tx, contact_id: UUID, method_id: UUID) -> None:
    """Remove an address; of those of its kind another one becomes primary, if it was."""
    owner = contacts.owner_of(tx, None)
    await contacts.hold(tx, [contact_id], owner_id=owner)
    await contacts.find(tx, contact_id)
    kind = await queries.remove_method.first(tx, owner, contact_id, method_id)
    if kind is None:
        raise DomainError("contact.method_not_found")
    await queries.choose_primary.run(tx, owner, contact_id, kind, None)


def _shown(keys: Keys, row: MethodRow) -> Method:
    return Method(
        id=row.id,
        contact_id=row.contact_id,
        kind=row.kind,
        value=sealing.open_method(keys, row.id, row.value),
        label=row.label,
        is_primary=row.is_primary,
        source=row.source,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
