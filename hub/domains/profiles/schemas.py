"""The social face of a user."""

from typing import Literal
from uuid import UUID

from msgspec import UNSET, Raw, Struct, UnsetType

Visibility = Literal["private", "friends", "public"]
ShareOnTap = Literal["always", "ask", "never"]


class Profile(Struct, frozen=True):
    """A profile as its owner sees it."""

    user_id: UUID
    username: str | None
    display_name: str
    bio: str | None
    visibility: Visibility


class PrivacySettings(Struct, frozen=True, kw_only=True):
    """What a user lets the hub do by itself; the content of profiles.privacy_settings."""

    share_on_tap: ShareOnTap = "ask"
    """Whether one's card goes over when one's ring touches another."""


class ChangePrivacy(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Changes of one's privacy settings; absent fields stay as they are."""

    share_on_tap: ShareOnTap | UnsetType = UNSET


class StoredPrivacy(Struct, frozen=True):
    """The settings of a user as they are stored."""

    user_id: UUID
    settings: Raw
