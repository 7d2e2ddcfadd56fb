"""What tokens say, and how their verification may fail.

`info`, `data` and `meta` are JSON texts, EMPTY when the token has none.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from hub.realtime.protocol.messages import EMPTY


class SubscribeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of one subscription; None leaves an option to the namespace.

    `info` becomes the `chan_info` that others see, `data` goes to the subscriber itself.
    `expires_at` is in Unix seconds; 0 never expires.
    """

    info: Raw = EMPTY
    data: Raw = EMPTY
    expires_at: int = 0
    presence: bool | None = None
    join_leave: bool | None = None
    force_push_join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None


NO_OPTIONS: Final = SubscribeOptions()


class ConnectClaims(msgspec.Struct, frozen=True, kw_only=True):
    """Who a connection belongs to. `expires_at` is in Unix seconds; 0 never expires.

    The server subscribes the connection to `channels` and to the keys of `subs`, whatever their
    namespaces allow to clients. `info` becomes the `conn_info` that others see; `meta` is only for
    this server. A user without a name is anonymous.
    """

    user: str
    expires_at: int = 0
    session_id: str = ""
    role: str = "user"
    info: Raw = EMPTY
    channels: tuple[str, ...] = ()
    subs: Mapping[str, SubscribeOptions] = {}
    meta: Raw = EMPTY
    data: Raw = EMPTY
    """Goes to the client with the reply to connect; an application's own, in no token."""


class SubscribeClaims(msgspec.Struct, frozen=True, kw_only=True):
    """That a user, and only by the connection `client` if that is given, may have a channel."""

    user: str
    channel: str
    client: str = ""
    options: SubscribeOptions = NO_OPTIONS


class TokenInvalidError(Exception):
    """The token was not issued by us, is malformed or revoked: the socket closes with 3500."""


class ConnectionDeniedError(Exception):
    """The token is good, and its user may not connect all the same: the socket closes with 3507."""


class TokenExpiredError(Exception):
    """The token was good once: the client fetches a new one and comes back (109, 3005)."""
