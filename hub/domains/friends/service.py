"""Friends and blocks of a user. Friendships are made elsewhere: by touches, later by requests."""

from datetime import datetime
from uuid import UUID

from core.db import Conflict, Tx
from core.errors import DomainError
from hub.domains.friends import queries
from hub.domains.friends.schemas import Block, Friend
from hub.http import page

FRIENDS_LISTING = "friends"
BLOCKS_LISTING = "blocks"


async def list_friends(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Friend]:
    """Return the actor's friends, the newest first."""
    before = page.decode_cursor(cursor, FRIENDS_LISTING, tuple[datetime, UUID])
    rows = await queries.list_friends.all(tx, *(before or (None, None)), limit + 1)
    return page.paginate(
        rows, limit, FRIENDS_LISTING, lambda friend: (friend.created_at, friend.friend_id)
    )


async def end_friendship(tx: Tx, friend_id: UUID) -> None:
    """End a friendship on both sides; the other is not told."""
    if not await queries.unfriend.one(tx, friend_id):
        raise DomainError("friend.not_found")


async def list_blocks(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Block]:
    """Return whom the actor has blocked, the latest first."""
    before = page.decode_cursor(cursor, BLOCKS_LISTING, tuple[datetime, UUID])
    rows = await queries.list_blocks.all(tx, *(before or (None, None)), limit + 1)
    return page.paginate(
        rows, limit, BLOCKS_LISTING, lambda block: (block.created_at, block.user_id)
    )


async def block(tx: Tx, user_id: UUID) -> None:
    """Have nothing to do with a user any more: no touch exchanges, a friendship ends."""
    # First, because it locks both profiles, as an exchange does: the block is before it or after.
    await queries.unfriend.one(tx, user_id)
    try:
        await queries.block.run(tx, user_id)
    except Conflict:  # there is no such user, or it is the actor
        raise DomainError("friend.not_found") from None


async def unblock(tx: Tx, user_id: UUID) -> None:
    """Take a block back; again is harmless."""
    await queries.unblock.run(tx, user_id)


async def is_blocked(tx: Tx, one: UUID, other: UUID) -> bool:
    """Tell whether either of two users has blocked the other. For ping_system."""
    return await queries.is_blocked.one(tx, one, other)
