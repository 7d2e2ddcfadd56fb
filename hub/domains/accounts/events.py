"""Payloads of the events of accounts: sign-in sessions that end, subscriptions that change."""

from uuid import UUID

from msgspec import Struct

from hub.domains.accounts.schemas import SubscriptionStatus, SubscriptionTier


class SessionRevoked(Struct, frozen=True, kw_only=True, tag="session.revoked"):
    """A sign-in session ended: signed out, removed, or its refresh token was used twice."""

    session_id: UUID


class SubscriptionChanged(Struct, frozen=True, kw_only=True, tag="subscription.changed"):
    """An account pays for something else, or no longer; its limits follow."""

    tier: SubscriptionTier
    status: SubscriptionStatus
