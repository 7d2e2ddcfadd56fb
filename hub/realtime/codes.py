"""Every code of the client protocol with its meaning and what it makes a client do.

Error replies answer one command; disconnects close the socket and their range says whether the
client comes back; unsubscribe codes end one subscription, their range says if it is renewed.
"""

from typing import Final

import msgspec

_FIRST_TERMINAL: Final = 3500
_FIRST_APPLICATION: Final = 4000
_FIRST_TERMINAL_APPLICATION: Final = 4500
_FIRST_RESUBSCRIBE: Final = 2500


class Error(msgspec.Struct, frozen=True):
    """The refusal of one command. A client repeats it only if it is temporary (or 109)."""

    code: int
    message: str
    temporary: bool = False


class Disconnect(msgspec.Struct, frozen=True):
    """Why the server closes a socket; code and reason travel in the close frame."""

    code: int
    reason: str

    @property
    def reconnects(self) -> bool:
        """Whether an SDK connects again: not for 3500-3999, 4500-4999 and an oversized message."""
        if self.code == MESSAGE_TOO_BIG.code:
            return False
        return not (
            _FIRST_TERMINAL <= self.code < _FIRST_APPLICATION
            or _FIRST_TERMINAL_APPLICATION <= self.code < _FIRST_APPLICATION + 1000
        )


class Unsubscribe(msgspec.Struct, frozen=True):
    """Why the server ends one subscription of an open socket."""

    code: int
    reason: str

    @property
    def resubscribes(self) -> bool:
        """Whether an SDK subscribes again by itself."""
        return self.code >= _FIRST_RESUBSCRIBE


INTERNAL: Final = Error(100, "internal server error", temporary=True)
UNAUTHORIZED: Final = Error(101, "unauthorized")
UNKNOWN_CHANNEL: Final = Error(102, "unknown channel")
PERMISSION_DENIED: Final = Error(103, "permission denied")
METHOD_NOT_FOUND: Final = Error(104, "method not found")
ALREADY_SUBSCRIBED: Final = Error(105, "already subscribed")
LIMIT_EXCEEDED: Final = Error(106, "limit exceeded")
BAD_REQUEST: Final = Error(107, "bad request")
NOT_AVAILABLE: Final = Error(108, "not available")
TOKEN_EXPIRED: Final = Error(109, "token expired")
EXPIRED: Final = Error(110, "expired")
TOO_MANY_REQUESTS: Final = Error(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION: Final = Error(112, "unrecoverable position")
CONCURRENT_PAGINATION: Final = Error(113, "concurrent pagination", temporary=True)

CLOSE_NORMAL: Final = Disconnect(3000, "connection closed")
CLOSE_SHUTDOWN: Final = Disconnect(3001, "shutdown")
CLOSE_SERVER_ERROR: Final = Disconnect(3004, "internal server error")
CLOSE_EXPIRED: Final = Disconnect(3005, "connection expired")
CLOSE_SUBSCRIPTION_EXPIRED: Final = Disconnect(3006, "subscription expired")
CLOSE_SLOW: Final = Disconnect(3008, "slow")
CLOSE_WRITE_ERROR: Final = Disconnect(3009, "write error")
CLOSE_INSUFFICIENT_STATE: Final = Disconnect(3010, "insufficient state")
CLOSE_FORCE_RECONNECT: Final = Disconnect(3011, "force reconnect")
CLOSE_NO_PONG: Final = Disconnect(3012, "no pong")
CLOSE_TOO_MANY_REQUESTS: Final = Disconnect(3013, "too many requests")
CLOSE_STATE_INVALIDATED: Final = Disconnect(3014, "state invalidated")
CLOSE_INVALID_TOKEN: Final = Disconnect(3500, "invalid token")
CLOSE_BAD_REQUEST: Final = Disconnect(3501, "bad request")
CLOSE_STALE: Final = Disconnect(3502, "stale")
CLOSE_FORCE_DISCONNECT: Final = Disconnect(3503, "force disconnect")
CLOSE_CONNECTION_LIMIT: Final = Disconnect(3504, "connection limit")
CLOSE_CHANNEL_LIMIT: Final = Disconnect(3505, "channel limit")
CLOSE_INAPPROPRIATE_PROTOCOL: Final = Disconnect(3506, "inappropriate protocol")
CLOSE_PERMISSION_DENIED: Final = Disconnect(3507, "permission denied")
CLOSE_NOT_AVAILABLE: Final = Disconnect(3508, "not available")
CLOSE_TOO_MANY_ERRORS: Final = Disconnect(3509, "too many errors")
# RFC 6455's own code, which SDKs treat as terminal: the same message would be refused again.
MESSAGE_TOO_BIG: Final = Disconnect(1009, "message too big")

UNSUBSCRIBED_BY_SERVER: Final = Unsubscribe(2000, "server unsubscribe")
UNSUBSCRIBED_INSUFFICIENT_STATE: Final = Unsubscribe(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED: Final = Unsubscribe(2501, "subscription expired")
UNSUBSCRIBED_STATE_INVALIDATED: Final = Unsubscribe(2502, "state invalidated")

ERRORS: Final = tuple(item for item in list(globals().values()) if isinstance(item, Error))
DISCONNECTS: Final = tuple(
    item for item in list(globals().values()) if isinstance(item, Disconnect)
)
UNSUBSCRIBES: Final = tuple(
    item for item in list(globals().values()) if isinstance(item, Unsubscribe)
)
