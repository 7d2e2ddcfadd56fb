"""Friends and blocks as the REST interface shows them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

FriendSource = Literal["request", "ring_tap", "contact_match", "import"]


class Friend(Struct, frozen=True):
    """A friend of the signed-in user."""

    friend_id: UUID
    display_name: str
    username: str | None
    source: FriendSource
    created_at: datetime


class Block(Struct, frozen=True):
    """Somebody whom the signed-in user wants nothing to do with."""

    user_id: UUID
    created_at: datetime
