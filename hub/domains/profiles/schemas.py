"""The social face of a user."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

Visibility = Literal["private", "friends", "public"]


class Profile(Struct, frozen=True):
    """A profile as its owner sees it."""

    user_id: UUID
    username: str | None
    display_name: str
    bio: str | None
    visibility: Visibility
