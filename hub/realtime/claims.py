"""What a connection token says, and how its verification may fail."""

import msgspec


class ConnectClaims(msgspec.Struct, frozen=True, kw_only=True):
    """Who a connection belongs to. `expires_at` is in Unix seconds; 0 never expires."""

    user: str
    expires_at: int = 0
    session_id: str = ""
    role: str = "user"


class TokenInvalidError(Exception):
    """The token was not issued by us, is malformed or revoked: the socket closes with 3500."""


class TokenExpiredError(Exception):
    """The token was good once: the client fetches a new one and comes back (109, 3005)."""
