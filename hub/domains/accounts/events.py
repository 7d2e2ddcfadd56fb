"""Payload of the event of sign-in sessions, which a trigger emits when one ends."""

from uuid import UUID

from msgspec import Struct


class SessionRevoked(Struct, frozen=True, kw_only=True, tag="session.revoked"):
    """A sign-in session ended: signed out, removed, or its refresh token was used twice."""

    session_id: UUID
