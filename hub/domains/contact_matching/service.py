"""Which of one's contacts are users here: known where both sides let it be known.

By what identities answers of addresses, within its limits and on its record.
"""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from core.crypto import Keys
from core.db import Tx
from hub.domains.contact_matching import queries
from hub.domains.contact_matching.schemas import LinkedUser, LinkedUsers, StoredAddress
from hub.domains.contact_sealing import service as sealing
from hub.domains.contacts import service as contacts
from hub.domains.identities import service as identities
from hub.domains.identities.schemas import LOOKUPS_MAX, MatchContacts, PlainAddress


async def addresses_of(
    tx: Tx, contact_ids: Sequence[UUID]
) -> tuple[list[StoredAddress], list[UUID]]:
    """Return what contacts of the actor are looked up by, and which contacts are left for later.

    Of those that are linked already, or are nobody's of the actor, nothing. Raises consent.missing.
    """
    await identities.require_consent(tx, contacts.owner_of(tx, None))
    found: list[StoredAddress] = []
    left: list[UUID] = []
    rows = await queries.list_addresses.all(tx, list(contact_ids))
    for contact_id, group in groupby(rows, lambda row: row.contact_id):
        theirs = list(group)
        if left or len(found) + len(theirs) > LOOKUPS_MAX:
            left.append(contact_id)
        else:
            found += theirs
    return found, left


async def link(
    tx: Tx, keys: Keys, addresses: Sequence[StoredAddress], left: list[UUID]
) -> LinkedUsers:
    """Look addresses up and say of their contacts who they are here; the limit has been asked."""
    asked = [
        PlainAddress(kind=row.kind, value=sealing.open_method(keys, row.id, row.value))
        for row in addresses
    ]
    if not asked:
        return LinkedUsers([], 0, left)
    answer = await identities.match(
        tx, MatchContacts(addresses=list(asked)), cipher=keys.cipher, index_key=keys.index_key
    )
    matched: dict[UUID, LinkedUser] = {}
    for item in answer.matches:
        contact_id = addresses[item.position].contact_id
        matched.setdefault(contact_id, LinkedUser(contact_id, item.user_id, item.display_name))
    linked = await queries.link_matched.all(
        tx, list(matched), [item.user_id for item in matched.values()]
    )
    return LinkedUsers(
        [item for item in matched.values() if item.contact_id in set(linked)], len(asked), left
    )


async def unlink(tx: Tx, contact_id: UUID) -> None:
    """Forget which user a contact of the actor is; raises contact.not_found."""
    await contacts.find(tx, contact_id)
    await queries.unlink.first(tx, contact_id)


async def forget_matches(tx: Tx, user_id: UUID) -> None:
    """Forget whom a user was matched with, who has withdrawn their consent. For ping_system."""
    await queries.unlink_matched.run(tx, user_id)
