"""Circles of closeness and who is in them. A contact in any circle has exactly one primary one.

Triggers see to that: the first circle is it, and when it goes, the closest of the others.
"""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from core.db import Conflict, Tx
from core.errors import DomainError
from hub.domains.circles import queries
from hub.domains.circles.schemas import (
    CIRCLES_MAX,
    ChangeCircle,
    Circle,
    CircleMembership,
    Member,
    NewCircle,
    PutMember,
)
from hub.domains.contacts import service as contacts
from hub.http import page

CIRCLES_LISTING: Final = "circles"
MEMBERS_LISTING: Final = "circle_members"
MEMBERSHIPS_LISTING: Final = "contact_circles"


async def list_circles(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Circle]:
    """Return the actor's circles, the closest first."""
    after = page.decode_cursor(cursor, CIRCLES_LISTING, tuple[int, int, UUID])
    rows = await queries.list_circles.all(tx, *(after or (None, None, None)), limit + 1)
    return page.paginate(
        rows, limit, CIRCLES_LISTING, lambda circle: (circle.tier, circle.position, circle.id)
    )


async def get_circle(tx: Tx, circle_id: UUID) -> Circle:
    """Return a circle of the actor; raises circle.not_found."""
    circle = await queries.find_circle.first(tx, circle_id)
    if circle is None:
        raise DomainError("circle.not_found")
    return circle


async def add_circle(tx: Tx, new: NewCircle) -> Circle:
    """Make a circle; names are one's own and without case."""
    await queries.lock_circles.run(tx)
    if await queries.count_circles.one(tx) >= CIRCLES_MAX:
        raise DomainError("circle.limit")
    try:
        circle_id = await queries.add_circle.one(
            tx, new.name, new.tier, new.cadence_days, new.color, new.position
        )
    except Conflict:
        raise DomainError("circle.name_taken") from None
    return await get_circle(tx, circle_id)


async def change_circle(tx: Tx, circle_id: UUID, change: ChangeCircle) -> Circle:
    """Change what is given; the health of its members follows its cadence within moments."""
    await queries.lock_circles.run(tx)
    present = await get_circle(tx, circle_id)
    try:
        await queries.change_circle.run(
            tx,
            circle_id,
            present.name if change.name is UNSET else change.name,
            present.tier if change.tier is UNSET else change.tier,
            present.cadence_days if change.cadence_days is UNSET else change.cadence_days,
            present.color if change.color is UNSET else change.color,
            present.position if change.position is UNSET else change.position,
        )
    except Conflict:
        raise DomainError("circle.name_taken") from None
    return await get_circle(tx, circle_id)


async def remove_circle(tx: Tx, circle_id: UUID) -> None:
    """Remove a circle; its members stay in the address book and in their other circles."""
    await queries.lock_circles.run(tx)
    if not await queries.lock_circle.all(tx, circle_id):
        raise DomainError("circle.not_found")
    await queries.lock_members.all(tx, circle_id)
    await queries.remove_circle.run(tx, circle_id)


async def list_members(
    tx: Tx, circle_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Member]:
    """Return who is in a circle, but for archived contacts."""
    await get_circle(tx, circle_id)
    after = page.decode_cursor(cursor, MEMBERS_LISTING, tuple[UUID])
    rows = await queries.list_members.all(tx, circle_id, after and after[0], limit + 1)
    return page.paginate(rows, limit, MEMBERS_LISTING, lambda member: (member.contact_id,))


async def list_memberships(
    tx: Tx, contact_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[CircleMembership]:
    """Return which circles a contact is in."""
    await contacts.find(tx, contact_id)
    after = page.decode_cursor(cursor, MEMBERSHIPS_LISTING, tuple[UUID])
    rows = await queries.list_memberships.all(tx, contact_id, after and after[0], limit + 1)
    return page.paginate(rows, limit, MEMBERSHIPS_LISTING, lambda item: (item.circle_id,))


async def put_member(tx: Tx, circle_id: UUID, contact_id: UUID, how: PutMember) -> None:
    """Put a contact into a circle, or make that its primary one; again is harmless."""
    if not await queries.keep_circle.all(tx, circle_id):
        raise DomainError("circle.not_found")
    if (await contacts.find(tx, contact_id)).is_self:
        raise DomainError("contact.self")
    try:
        await queries.add_member.run(tx, circle_id, contact_id)
    except Conflict:  # the contact was removed meanwhile
        raise DomainError("contact.not_found") from None
    if how.is_primary:
        await queries.set_primary.one(tx, circle_id, contact_id)


async def remove_member(tx: Tx, circle_id: UUID, contact_id: UUID) -> None:
    """Take a contact out of a circle; again is harmless."""
    await get_circle(tx, circle_id)
    await contacts.find(tx, contact_id)
    await queries.lock_contact.all(tx, contact_id)
    await queries.remove_member.run(tx, circle_id, contact_id)


async def hold_circles(tx: Tx) -> None:
    """Let no circle of the actor go until the commit; before any contact is locked."""
    await queries.lock_circles.run(tx)


async def join_circles_of(tx: Tx, from_id: UUID, to_id: UUID) -> msgspec.Raw:
    """Put a contact into the circles of another one; return those that it was not in."""
    joined = await queries.join_circles_of.all(tx, from_id, to_id)
    return msgspec.Raw(msgspec.json.encode(joined))


async def leave_circles_of(tx: Tx, _from_id: UUID, to_id: UUID, joined: msgspec.Raw) -> None:
    """Take a contact out of the circles that `join_circles_of` returned."""
    await queries.leave_circles.run(tx, to_id, msgspec.json.decode(joined, type=list[UUID]))
