"""Who of one's contacts knows whom: stored once, read from both ends."""

from typing import Final
from uuid import UUID

from core.db import Tx
from core.errors import DomainError
from hub.domains.contact_links import queries
from hub.domains.contact_links.schemas import Link, Mutual, PutLink
from hub.domains.contacts import service as contacts
from hub.http import page

LINKS_LISTING: Final = "contact_links"
MUTUALS_LISTING: Final = "contact_mutuals"


async def list_links(
    tx: Tx, contact_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Link]:
    """Return whom of the actor's contacts a contact knows, the closest first."""
    after = page.decode_cursor(cursor, LINKS_LISTING, tuple[float, UUID])
    rows = await queries.list_links.all(tx, contact_id, *(after or (None, None)), limit + 1, None)
    if not rows:
        await contacts.find(tx, contact_id)
    return page.paginate(rows, limit, LINKS_LISTING, lambda item: (item.strength, item.contact_id))


async def get_link(tx: Tx, contact_id: UUID, other_id: UUID) -> Link:
    """Return how a contact knows another one; raises contact.not_found, contact.link_not_found."""
    for each in (contact_id, other_id):
        await contacts.find(tx, each)
    found = await queries.list_links.first(tx, contact_id, None, None, 1, other_id)
    if found is None:
        raise DomainError("contact.link_not_found")
    return found


async def list_mutuals(
    tx: Tx, contact_id: UUID, other_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Mutual]:
    """Return whom both of two contacts know; raises contact.not_found."""
    after = page.decode_cursor(cursor, MUTUALS_LISTING, tuple[UUID])
    for each in (contact_id, other_id):
        await contacts.find(tx, each)
    rows = await queries.list_mutuals.all(
        tx, contact_id, other_id, after[0] if after else None, limit + 1
    )
    return page.paginate(rows, limit, MUTUALS_LISTING, lambda item: (item.contact_id,))


async def put(
    tx: Tx, contact_id: UUID, other_id: UUID, new: PutLink, *, owner_id: UUID | None = None
) -> None:
    """Say how two contacts know each other; raises contact.not_found, contact.link_to_itself."""
    if contact_id == other_id:
        raise DomainError("contact.link_to_itself")
    owner = contacts.owner_of(tx, owner_id)
    # A merge under way would leave it with a contact that nobody sees any more.
    await contacts.hold(tx, [contact_id, other_id], owner_id=owner)
    for each in (contact_id, other_id):
        await contacts.find(tx, each, owner_id=owner)
    await queries.put_link.one(tx, owner, contact_id, other_id, new.kind, new.strength)


async def remove(tx: Tx, contact_id: UUID, other_id: UUID) -> None:
    """Forget that two contacts know each other; raises contact.link_not_found."""
    if await queries.remove_link.first(tx, contact_id, other_id) is None:
        await contacts.find(tx, contact_id)
        raise DomainError("contact.link_not_found")
