"""Who was part of interactions: their addresses sealed, and looked up in the address book."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from core.ids import new_id
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import MethodKind
from hub.domains.contacts.service import Keys
from hub.domains.interaction_participants import queries
from hub.domains.interactions.schemas import NewParticipant, Participant, StoredParticipant

ADDRESS_COLUMN: Final = "interaction_participants.address"


async def check(tx: Tx, participants: Sequence[NewParticipant], keys: Keys) -> str | None:
    """Return by whose rules numbers are read; raise request.invalid for what is no address."""
    region = None
    if any(who.address is not None for who in participants):
        region = await contacts.region_of(tx)
    owner = contacts.owner_of(tx, None)
    problems = [
        {
            "source": "body",
            "field": f"participants[{place}]",
            "message": "Each needs a contact or an address",
        }
        for place, who in enumerate(participants)
        if not _hashes(owner, who, keys, region) and (who.address or who.contact_id is None)
    ]
    if problems:
        raise DomainError("request.invalid", errors=problems)
    return region


async def known(
    tx: Tx,
    owner: UUID,
    participants: Sequence[NewParticipant],
    keys: Keys | None,
    region: str | None,
) -> list[NewParticipant]:
    """Return participants, with the contact where the address book has their address."""
    hashes: list[tuple[MethodKind, list[bytes]]] = [
        (who.address_kind, _hashes(owner, who, keys, region)) for who in participants
    ]
    if not any(forms for _, forms in hashes):
        return list(participants)
    found = await contacts.find_by_method_hashes(tx, hashes, owner_id=owner)
    return [
        replace(who, contact_id=who.contact_id or contact_id)
        for who, contact_id in zip(participants, found, strict=True)
    ]


async def add(
    tx: Tx,
    owner: UUID,
    told: Mapping[UUID, Sequence[NewParticipant]],
    keys: Keys | None,
    region: str | None,
) -> None:
    """Write down who was part of which interaction; what is no address is left out."""
    rows = [
        row
        for interaction_id, participants in told.items()
        for row in _rows(owner, interaction_id, participants, keys, region)
    ]
    if rows:
        await queries.insert_participants.run(tx, owner, msgspec.json.encode(rows))


async def replace_all(
    tx: Tx, interaction_id: UUID, participants: Sequence[NewParticipant], keys: Keys
) -> None:
    """Write down who was part of an interaction of the actor instead of who was so far."""
    owner = contacts.owner_of(tx, None)
    region = await check(tx, participants, keys)
    found = await known(tx, owner, participants, keys, region)
    await queries.delete_participants.run(tx, interaction_id)
    await add(tx, owner, {interaction_id: found}, keys, region)


async def list_all(tx: Tx, interaction_id: UUID, cipher: FieldCipher) -> list[Participant]:
    """Return who was part of one of the actor's interactions."""
    rows = await queries.list_participants.all(tx, interaction_id)
    return [_shown(row, cipher) for row in rows]


def _hashes(owner: UUID, who: NewParticipant, keys: Keys | None, region: str | None) -> list[bytes]:
    """Return every form in which an address's index may be stored; empty: it is no address."""
    if who.address is None:
        return []
    if keys is None:
        raise ValueError("addresses are sealed: that needs keys")
    return contacts.sealing.method_hashes(keys, owner, who.address_kind, who.address, region)


def _rows(
    owner: UUID,
    interaction_id: UUID,
    participants: Sequence[NewParticipant],
    keys: Keys | None,
    region: str | None,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # They are listed by their ids, which of one millisecond are in no order.
    for row_id, who in zip(sorted(new_id() for _ in participants), participants, strict=True):
        forms = _hashes(owner, who, keys, region)
        if who.contact_id is None and not forms:
            continue
        row: dict[str, Any] = {
            "id": row_id,
            "interaction_id": interaction_id,
            "contact_id": who.contact_id,
            "role": who.role,
        }
        if forms and keys is not None and who.address is not None:
            sealed = keys.cipher.seal(who.address.encode(), column=ADDRESS_COLUMN, row=row_id.bytes)
            row |= {
                "address_kind": who.address_kind,
                "address": sealed.hex(),
                "address_hash": forms[0].hex(),
            }
        rows.append(row)
    return rows


def _shown(row: StoredParticipant, cipher: FieldCipher) -> Participant:
    address = None
    if row.address is not None:
        address = cipher.open(row.address, column=ADDRESS_COLUMN, row=row.id.bytes).decode()
    return Participant(row.id, row.role, row.contact_id, row.address_kind, address)
