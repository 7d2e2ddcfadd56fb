"""Payloads of the events of friendships."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.friends.schemas import FriendSource


class FriendshipCreated(Struct, frozen=True, kw_only=True, tag="friendship.created"):
    """Two users became friends; each is told of the other."""

    friend_id: UUID
    source: FriendSource
    created_at: datetime
