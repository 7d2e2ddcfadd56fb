"""Contacts: an address book each, and what other slices ask of it.

`owner_id` names whose address book is meant where the transaction is a system one; a user's own
transaction knows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from core import ids, normal_forms
from core.crypto import Keys
from core.db import Tx
from core.errors import DomainError
from hub.domains.contact_sealing import service as sealing
from hub.domains.contacts import queries, rules
from hub.domains.contacts.schemas import (
    ChangeContact,
    Contact,
    ContactRow,
    Context,
    MethodKind,
    NewContact,
    NewMethod,
)

_PLAIN_FIELDS: Final = (
    "full_name",
    "first_name",
    "last_name",
    "company",
    "job_title",
    "linkedin_url",
    "avatar_url",
    "location",
    "bio",
)


async def region_of(tx: Tx, owner_id: UUID | None = None) -> str | None:
    """Return by whose rules an owner's telephone numbers without `+` are read (ISO 3166)."""
    return normal_forms.region_of(await queries.find_locale.first(tx, owner_of(tx, owner_id)))


async def add_contacts(
    tx: Tx,
    keys: Keys,
    new: Sequence[NewContact],
    *,
    owner_id: UUID | None = None,
    region: str | None = None,
) -> list[UUID]:
    """Add contacts with their addresses in two statements; return their ids, in the same order.

    Nothing is looked up first: whoever imports asks `find_by_method_hashes` before. An address
    twice in one contact is added once. Raises contact.method_invalid.
    """
    owner = owner_of(tx, owner_id)
    contacts: list[dict[str, Any]] = []
    methods: list[dict[str, Any]] = []
    for item in new:
        contact_id = ids.new_id()
        contacts.append(_contact_values(keys, contact_id, item))
        methods += _method_values(keys, owner, contact_id, item, region)
    if contacts:
        await queries.insert_contacts.run(tx, owner, msgspec.json.encode(contacts))
    if methods:
        await queries.insert_methods.run(tx, owner, msgspec.json.encode(methods))
    return [item["id"] for item in contacts]


async def add_contact(
    tx: Tx, keys: Keys, new: NewContact, *, owner_id: UUID | None = None, region: str | None = None
) -> Contact:
    """Add a contact with its addresses and return it; raises contact.method_invalid."""
    added = await add_contacts(tx, keys, [new], owner_id=owner_id, region=region)
    return await get_contact(tx, keys, added[0], owner_id=owner_id)


async def get_contact(
    tx: Tx, keys: Keys, contact_id: UUID, *, owner_id: UUID | None = None
) -> Contact:
    """Return a contact of the owner, archived or not; raises contact.not_found, contact.merged."""
    return _shown(keys, await find(tx, contact_id, owner_id=owner_id))


async def find(tx: Tx, contact_id: UUID, *, owner_id: UUID | None = None) -> ContactRow:
    """Return the row of a contact; raises contact.not_found, or contact.merged with where to."""
    found = await find_row(tx, contact_id, owner_id=owner_id)
    if found.merged_into_id is not None:
        raise DomainError("contact.merged", f"It is part of `{found.merged_into_id}` now.")
    return found


async def find_row(tx: Tx, contact_id: UUID, *, owner_id: UUID | None = None) -> ContactRow:
    """Return the row of a contact, merged away or not; raises contact.not_found."""
    found = await queries.find_contact.first(tx, owner_of(tx, owner_id), contact_id)
    if found is None:
        raise DomainError("contact.not_found")
    return found


async def hold(tx: Tx, contact_ids: Sequence[UUID], *, owner_id: UUID | None = None) -> None:
    """Let nobody else change contacts until the commit; before they are read, as the last word."""
    await queries.lock_contacts.all(tx, owner_of(tx, owner_id), list(contact_ids))


async def hold_found(tx: Tx, contact_id: UUID | None) -> None:
    """Let the actor's contact, if one is named, be what it is until the commit.

    Before what refers to it is locked: a merge under way would leave that with a contact whom
    nobody sees any more. Raises contact.not_found, contact.merged.
    """
    if contact_id is not None:
        await hold(tx, [contact_id])
        await find(tx, contact_id)


async def hold_with_rows(tx: Tx, contact_ids: Sequence[UUID]) -> None:
    """Let until the commit nobody else change contacts, or store what refers to them."""
    await queries.lock_contacts_and_rows.all(tx, owner_of(tx, None), list(contact_ids))


async def find_by_addresses(
    tx: Tx,
    keys: Keys,
    addresses: Sequence[tuple[MethodKind, str]],
    *,
    owner_id: UUID | None = None,
    region: str | None = None,
) -> list[UUID | None]:
    """Return for each address whose it is in the owner's address book."""
    owner = owner_of(tx, owner_id)
    hashes: list[tuple[MethodKind, list[bytes]]] = [
        (kind, sealing.method_hashes(keys, owner, kind, value, region)) for kind, value in addresses
    ]
    return await find_by_method_hashes(tx, hashes, owner_id=owner)


async def find_by_method_hashes(
    tx: Tx,
    hashes: Sequence[tuple[MethodKind, Sequence[bytes]]],
    *,
    owner_id: UUID | None = None,
) -> list[UUID | None]:
    """Return for each address whose it is; `sealing.method_hashes` gives all forms of each.

    Of several contacts one that is not archived, then the oldest; never one that was merged away.
    """
    flat = [(n, kind, each) for n, (kind, forms) in enumerate(hashes) for each in forms]
    found = await queries.find_by_method_hashes.all(
        tx,
        owner_of(tx, owner_id),
        [item[0] for item in flat],
        [item[1] for item in flat],
        [item[2] for item in flat],
    )
    by_position = {row.position: row.contact_id for row in found}
    return [by_position.get(position) for position in range(len(hashes))]


async def get_self(tx: Tx, keys: Keys) -> Contact:
    """Return the contact that the actor is."""
    found = await queries.find_self.first(tx)
    if found is None:
        raise DomainError("contact.not_found")
    return await get_contact(tx, keys, found)


async def change_contact(
    tx: Tx, keys: Keys, contact_id: UUID, change: ChangeContact, *, owner_id: UUID | None = None
) -> Contact:
    """Change what is given; raises contact.not_found, contact.merged."""
    owner = owner_of(tx, owner_id)
    await hold(tx, [contact_id], owner_id=owner)
    present = await get_contact(tx, keys, contact_id, owner_id=owner)

    def new(name: str) -> Any:  # noqa: ANN401  # as the fields are
        given = getattr(change, name)
        return getattr(present, name) if given is UNSET else given

    await queries.change_contact.run(
        tx,
        owner,
        contact_id,
        *(new(name) for name in _PLAIN_FIELDS),
        sealing.seal_notes(keys, contact_id, new("notes")),
        rules.stored_birthday(new("birthday")),
        msgspec.json.encode(rules.stored_context(new("context"))),
        new("frequency"),
        rules.stored_tags(new("tags")),
    )
    return await get_contact(tx, keys, contact_id, owner_id=owner)


async def delete_contacts(tx: Tx, contact_ids: Sequence[UUID], *, owner_id: UUID) -> int:
    """Delete contacts for good, with all that hangs on them; a system transaction.

    For an import that is undone. People archive. What is part of a merge stays.
    """
    return await queries.delete_contacts.run(tx, owner_id, list(contact_ids))


async def archive(tx: Tx, contact_id: UUID, *, owner_id: UUID | None = None) -> None:
    """Take a contact out of the lists; again is harmless. Raises contact.self, not_found."""
    owner = owner_of(tx, owner_id)
    if await queries.archive.first(tx, owner, contact_id) is None:
        await find(tx, contact_id, owner_id=owner)
        raise DomainError("contact.self")


async def restore(tx: Tx, contact_id: UUID, *, owner_id: UUID | None = None) -> None:
    """Bring an archived contact back; again is harmless. Raises contact.not_found."""
    owner = owner_of(tx, owner_id)
    if await queries.restore.first(tx, owner, contact_id) is None:
        await find(tx, contact_id, owner_id=owner)


def owner_of(tx: Tx, owner_id: UUID | None) -> UUID:
    """Return whose address book is meant."""
    found = tx.actor.user_id if owner_id is None else owner_id
    if found is None:
        raise ValueError("a system transaction names the owner")
    return found


def _contact_values(keys: Keys, contact_id: UUID, new: NewContact) -> dict[str, Any]:
    values = {
        name: getattr(new, name)
        for name in NewContact.__struct_fields__
        if name not in {"methods", "notes", "birthday"}
    }
    notes = sealing.seal_notes(keys, contact_id, new.notes)
    return {
        **values,
        "id": contact_id,
        "notes": notes and notes.hex(),
        "birthday": rules.stored_birthday(new.birthday),
        "context": rules.stored_context(new.context),
        "tags": rules.stored_tags(new.tags),
    }


def _method_values(
    keys: Keys, owner_id: UUID, contact_id: UUID, new: NewContact, region: str | None
) -> list[dict[str, Any]]:
    found: dict[tuple[MethodKind, bytes], NewMethod] = {}
    for method in new.methods:
        hashes = sealing.method_hashes(keys, owner_id, method.kind, method.value, region)
        if not hashes:
            raise DomainError("contact.method_invalid")
        known = found.setdefault((method.kind, hashes[0]), method)
        if method.is_primary and not known.is_primary:
            found[method.kind, hashes[0]] = method
    primary = _primaries(found)
    values: list[dict[str, Any]] = []
    for (kind, value_hash), method in found.items():
        method_id = ids.new_id()
        values.append(
            {
                "id": method_id,
                "contact_id": contact_id,
                "kind": kind,
                "value": sealing.seal_method(keys, method_id, method.value).hex(),
                "value_hash": value_hash.hex(),
                "label": method.label,
                "is_primary": primary[kind] == value_hash,
                "source": new.source,
            }
        )
    return values


def _primaries(found: Mapping[tuple[MethodKind, bytes], NewMethod]) -> dict[MethodKind, bytes]:
    """Return the primary address of each kind: the first that says so, or just the first."""
    chosen: dict[MethodKind, bytes] = {}
    for wanted in (True, False):
        for (kind, value_hash), method in found.items():
            if method.is_primary or not wanted:
                chosen.setdefault(kind, value_hash)
    return chosen


def _shown(keys: Keys, row: ContactRow) -> Contact:
    return Contact(
        id=row.id,
        full_name=row.full_name,
        first_name=row.first_name,
        last_name=row.last_name,
        company=row.company,
        job_title=row.job_title,
        linkedin_url=row.linkedin_url,
        avatar_url=row.avatar_url,
        location=row.location,
        bio=row.bio,
        notes=sealing.open_notes(keys, row.id, row.notes),
        birthday=rules.shown_birthday(row.birthday),
        context=msgspec.json.decode(row.context, type=Context),
        source=row.source,
        strength=row.strength,
        last_interaction_at=row.last_interaction_at,
        frequency=row.frequency,
        tags=row.tags,
        is_self=row.is_self,
        linked_user_id=row.linked_user_id,
        linked_by=row.linked_by,
        archived_at=row.archived_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
