"""What contacts care about: seen by people and in interactions, and fading unless seen again."""

from typing import Final
from uuid import UUID

from core.db import Tx
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.interests import queries, rules
from hub.domains.interests.schemas import (
    Interest,
    ListedInterest,
    PutInterest,
    Support,
)
from hub.http import page

CONTACT_LISTING: Final = "contact_interests"
CATEGORY_LISTING: Final = "interests"
SUPPORT_LISTING: Final = "interest_support"
_FADED_AT_ONCE: Final = 5000


async def list_of_contact(
    tx: Tx, contact_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Interest]:
    """Return what a contact of the actor cares about, the surest first."""
    after = page.decode_cursor(cursor, CONTACT_LISTING, tuple[float, UUID])
    rows = await queries.list_of_contact.all(tx, contact_id, *(after or (None, None)), limit + 1)
    if not rows:
        await contacts.find(tx, contact_id)
    return page.paginate(rows, limit, CONTACT_LISTING, lambda item: (item.confidence, item.id))


async def list_of_category(
    tx: Tx, category: str, topic: str | None, *, limit: int, cursor: str | None
) -> page.Page[ListedInterest]:
    """Return who of the actor's contacts cares about something of a category, the surest first."""
    after = page.decode_cursor(cursor, CATEGORY_LISTING, tuple[float, UUID])
    wanted = None if topic is None else rules.plain(topic)
    rows = await queries.list_of_category.all(
        tx, rules.plain(category), wanted, *(after or (None, None)), limit + 1
    )
    return page.paginate(rows, limit, CATEGORY_LISTING, lambda item: (item.confidence, item.id))


async def put(tx: Tx, contact_id: UUID, new: PutInterest) -> Interest:
    """Say what a contact of the actor cares about; raises contact.not_found."""
    owner = contacts.owner_of(tx, None)
    # A merge under way would leave it with a contact that nobody sees any more.
    await contacts.hold(tx, [contact_id])
    await contacts.find(tx, contact_id)
    category, topic = rules.plain(new.category), rules.plain(new.topic)
    await queries.put_interest.one(
        tx, owner, contact_id, category, topic, new.confidence, new.decay_factor
    )
    return await queries.find_interest.one(tx, owner, contact_id, category, topic)


async def see(
    tx: Tx, contact_id: UUID, interest_id: UUID, interaction_id: UUID, weight: float
) -> Interest:
    """Take an interaction for a sign of an interest, once; return the interest.

    Raises contact.not_found, contact.merged, contact.interest_not_found, interaction.not_found.
    """
    await contacts.hold_found(tx, contact_id)
    known = await queries.find_known.first(tx, contact_id, interest_id)
    if known is None:
        raise DomainError("contact.interest_not_found")
    if await queries.find_interaction.first(tx, interaction_id) is None:
        raise DomainError("interaction.not_found")
    if await queries.add_support.first(tx, interest_id, interaction_id) is not None:
        present = rules.faded(known.confidence, known.decay_factor, known.faded_seconds)
        await queries.reinforce.run(tx, interest_id, rules.reinforced(present, weight))
    return await queries.find_own.one(tx, contact_id, interest_id)


async def list_support(
    tx: Tx, contact_id: UUID, interest_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Support]:
    """Return the interactions that an interest was seen in, the latest first."""
    after = page.decode_cursor(cursor, SUPPORT_LISTING, tuple[UUID])
    await contacts.find(tx, contact_id)
    if await queries.find_own.first(tx, contact_id, interest_id) is None:
        raise DomainError("contact.interest_not_found")
    rows = await queries.list_support.all(
        tx, contact_id, interest_id, after[0] if after else None, limit + 1
    )
    return page.paginate(rows, limit, SUPPORT_LISTING, lambda item: (item.interaction_id,))


async def remove(tx: Tx, contact_id: UUID, interest_id: UUID) -> None:
    """Forget an interest; another sign of it brings it back. Raises contact.interest_not_found."""
    await contacts.find(tx, contact_id)
    if await queries.remove_interest.first(tx, contact_id, interest_id) is None:
        raise DomainError("contact.interest_not_found")


async def fade(tx: Tx) -> bool:
    """Fade what has not been for a day; return whether more is left. A system transaction."""
    return len(await queries.fade.all(tx, _FADED_AT_ONCE)) == _FADED_AT_ONCE
