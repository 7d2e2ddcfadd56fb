"""Step-up: what keeps or ends access to an account asks for a recent sign-in (RFC 9470).

A refresh token may be a copy. With one alone, nobody adds a way into the account that outlives its
discovery, or takes one away from the owner: for that the person has shown a moment ago who they
are. An exchange of refresh tokens does not count as that.
"""

from typing import Any, Final

from core import clock
from core.errors import DomainError

RECENT_SECONDS: Final = 600
RECENT: Final[dict[str, Any]] = {"recent": True}
"""`opt` of a route that only a recent sign-in opens."""

CODE: Final = "auth.recent_sign_in_required"
CHALLENGE: Final = (
    ', error="insufficient_user_authentication"'
    ', error_description="A more recent sign-in is required"'
    f', max_age="{RECENT_SECONDS}"'
)
"""What `WWW-Authenticate` says beside the realm (RFC 9470, section 3)."""


def require_recent(authenticated_at: int) -> None:
    """Raise unless the person proved who they are lately; Unix seconds, 0 where nobody knows."""
    if clock.unix_seconds() - authenticated_at > RECENT_SECONDS:
        raise DomainError(CODE)
