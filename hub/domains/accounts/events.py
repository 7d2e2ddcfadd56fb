"""Payloads of the events of accounts: sign-in sessions that end, subscriptions that change."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from hub.domains.accounts.schemas import SubscriptionStatus, SubscriptionTier


class SessionRevoked(Struct, frozen=True, kw_only=True, tag="session.revoked"):
    """A sign-in session ended: signed out, removed, or its refresh token was used twice."""

    session_id: UUID


class AddedAccess(Struct, frozen=True, kw_only=True):
    """A way into the account; of a sign-in session, the id is the session's."""

    kind: Literal["api_key", "login", "passkey", "session"]
    id: UUID
    created_at: datetime


class SessionReused(Struct, frozen=True, kw_only=True, tag="session.reused"):
    """A refresh token was used twice: somebody may have had a copy of it since it was handed out.

    The sign-in session has ended. `added` is what leads into the account since then and still does:
    what is not the user's own, they take away.
    """

    session_id: UUID
    since: datetime
    added: list[AddedAccess]


class SubscriptionChanged(Struct, frozen=True, kw_only=True, tag="subscription.changed"):
    """An account pays for something else, or no longer; its limits follow."""

    tier: SubscriptionTier
    status: SubscriptionStatus
