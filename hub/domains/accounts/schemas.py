"""Accounts and sign-in sessions as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from core.actor import Role
from hub.domains.profiles.schemas import Profile

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
RevokedBecause = Literal["exchanged", "signed_out", "removed", "reused", "expired", "role_changed"]
"""Why a refresh token works no more: it has a successor, or its sign-in session ended."""

SubscriptionTier = Literal["free", "pro", "enterprise"]
SubscriptionStatus = Literal["active", "cancelled", "past_due"]

Line = Annotated[
    str, Meta(min_length=1, max_length=120, pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)")
]
Paragraph = Annotated[str, Meta(max_length=1000, pattern=r"^[^\u0000]*$")]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)")]
Locale = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$(?!\n)")]
RefreshToken = Annotated[
    str, Meta(min_length=16, max_length=256, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")
]


class DevelopmentSignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Picks a demo user."""

    user_id: UUID


class Refresh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exchanges a refresh token; the same one again, within ten seconds, gets the same answer."""

    refresh_token: RefreshToken


class ChangeMe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of one's own account; absent fields stay as they are."""

    full_name: Line | UnsetType = UNSET
    timezone: TimeZone | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    onboarding_completed: bool | UnsetType = UNSET
    """True when the first steps are done, of which the first time stands; false to begin anew."""
    display_name: Line | UnsetType = UNSET
    bio: Paragraph | UnsetType = UNSET


class PickableUser(Struct, frozen=True):
    """A user as the development sign-in lists them."""

    id: UUID
    full_name: str


class Account(Struct, frozen=True):
    """One's own row of `users`, without what is sealed."""

    id: UUID
    full_name: str
    timezone: str
    locale: str | None
    role: Role
    subscription_tier: SubscriptionTier
    subscription_status: SubscriptionStatus
    onboarding_completed_at: datetime | None
    last_login_at: datetime | None
    """The latest sign-in, on whatever device."""
    created_at: datetime


class KnownAccount(Struct, frozen=True):
    """An account as operators see it."""

    id: UUID
    full_name: str
    role: Role
    subscription_tier: SubscriptionTier
    subscription_status: SubscriptionStatus
    last_login_at: datetime | None
    created_at: datetime


class SealedEmail(Struct, frozen=True):
    """The sealed address of a user."""

    email: bytes | None


class Me(Struct, frozen=True):
    """The signed-in user, as only they see themselves."""

    id: UUID
    full_name: str
    email: str | None
    timezone: str
    locale: str | None
    role: Role
    subscription_tier: SubscriptionTier
    subscription_status: SubscriptionStatus
    onboarding_completed_at: datetime | None
    last_login_at: datetime | None
    created_at: datetime
    profile: Profile


class SignedIn(Struct, frozen=True, kw_only=True):
    """Tokens of a sign-in session; the access token opens REST and websocket alike."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name
    expires_in: int
    refresh_token: str
    user: Account


class StoredSession(Struct, frozen=True):
    """A sign-in session as the look-up by a refresh token's hash finds it."""

    id: UUID
    user_id: UUID
    family_id: UUID
    expires_at: datetime
    revoked_at: datetime | None


class Successor(Struct, frozen=True):
    """The refresh token that another one was exchanged for."""

    id: UUID
    authenticated_at: int
    """When the person last proved who they are, in Unix seconds."""


class SignInSession(Struct, frozen=True):
    """One sign-in of the user, on one device."""

    id: UUID
    device_name: str | None
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    """When its tokens were last exchanged: at least every ten minutes while it is in use."""
    is_current: bool


class NameSession(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names the device of a sign-in session; null takes the name away."""

    device_name: Line | None
