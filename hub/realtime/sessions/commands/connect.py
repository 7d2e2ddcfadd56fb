"""The commands `connect` and `refresh`: who a connection belongs to, and for how long."""

from typing import TYPE_CHECKING, Final

import msgspec

from hub.realtime import codes
from hub.realtime.protocol.messages import (
    Command,
    ConnectRequest,
    ConnectResult,
    Push,
    RefreshPush,
    RefreshResult,
    Reply,
)
from hub.realtime.sessions import admission
from hub.realtime.sessions.commands import subscribe
from hub.realtime.sessions.effects import Authenticate, Effect, Join, Joined
from hub.realtime.tokens.claims import ConnectClaims

if TYPE_CHECKING:
    from hub.realtime.sessions.commands import orders
    from hub.realtime.sessions.session import Session

_NAME_MAX_CHARACTERS: Final = 16
_VERSION_MAX_CHARACTERS: Final = 64
# The protocol says lives in 32 bits; a server's order may say more.
_TTL_MAX_SECONDS: Final = (1 << 32) - 1


def start(session: "Session", command: Command) -> list[Effect]:
    """Begin to connect."""
    request = command.connect
    if (
        request is None
        or len(request.name) > _NAME_MAX_CHARACTERS
        or len(request.version) > _VERSION_MAX_CHARACTERS
    ):
        return session.close(codes.CLOSE_BAD_REQUEST)
    session.connecting()
    return [Authenticate(request.token, request)]


def refresh(session: "Session", command: Command) -> list[Effect]:
    """Begin to renew the connection's token."""
    request = command.refresh
    if request is None or not request.token:
        return session.close(codes.CLOSE_BAD_REQUEST)
    return [Authenticate(request.token, ConnectRequest(token=request.token))]


def authenticated(
    session: "Session", claims: ConnectClaims, now: float, unix_now: int
) -> list[Effect]:
    """The token of the connect or refresh command under way is good."""
    if not isinstance(session.current, Command):
        return []
    ttl_seconds = claims.expires_at - unix_now
    if claims.expires_at and ttl_seconds <= 0:
        return token_expired(session)
    if session.current.connect is not None:
        return _connect(session, session.current.connect, claims, now, ttl_seconds)
    if (
        session.claims is None
        or claims.user != session.user
        # What a sign-in session has opened must not outlive it by another kind of token.
        or bool(claims.session_id) != bool(session.claims.session_id)
    ):
        return session.close(codes.CLOSE_INVALID_TOKEN)
    if subscribe.token_channels_changed(session, claims):
        # The client comes back at once and is subscribed as the new token says.
        return session.close(codes.CLOSE_INSUFFICIENT_STATE)
    if not bytes(claims.info):
        # A token without info says nothing about it.
        claims = msgspec.structs.replace(claims, info=session.claims.info)
    _renew(session, claims, now, ttl_seconds)
    return session.answer(
        Reply(refresh=RefreshResult(expires=bool(claims.expires_at), ttl=_ttl(claims, ttl_seconds)))
    )


def token_invalid(session: "Session") -> list[Effect]:
    """The token under way is worthless; without one the client forgot it."""
    if isinstance(session.current, Command) and session.current.connect is not None:
        anonymous = not session.current.connect.token
        return session.close(codes.CLOSE_BAD_REQUEST if anonymous else codes.CLOSE_INVALID_TOKEN)
    return session.close(codes.CLOSE_INVALID_TOKEN)


def token_expired(session: "Session") -> list[Effect]:
    """The token under way was good once."""
    if isinstance(session.current, Command) and session.current.refresh is not None:
        # An error reply would be final for SDKs; this close makes them come back.
        return session.close(codes.CLOSE_EXPIRED)
    return session.refused(codes.TOKEN_EXPIRED)


def joined(
    session: "Session", joined: dict[str, Joined], now: float, unix_now: int
) -> list[Effect]:
    """The server's subscriptions of a new connection stand."""
    claims = session.claims
    if claims is None:
        return []
    late = subscribe.settle(session, joined, now, unix_now)
    session.connected(now)
    result = ConnectResult(
        client=session.client_id,
        version=session.rules.version,
        expires=bool(claims.expires_at),
        ttl=_ttl(claims, claims.expires_at - unix_now),
        data=claims.data,
        subs={channel: item.result for channel, item in joined.items()},
        ping=_ping_seconds(session),
        pong=session.hears_pings,
        session=session.secret,
        node=session.rules.node_id if session.secret else "",
    )
    return session.answer(Reply(connect=result), late)


def _ping_seconds(session: "Session") -> int:
    """Return what the client is told to expect; 0 leaves it to the transport."""
    if not session.hears_pings:
        return 0
    return max(1, round(session.rules.settings.ping_interval_seconds))


def refreshed_by_server(session: "Session", order: "orders.Refresh") -> list[Effect]:
    """Change what is known of a connection, and tell its client."""
    if session.claims is None:
        return []
    claims = msgspec.structs.replace(
        session.claims,
        expires_at=order.expires_at,
        info=order.info if bytes(order.info) else session.claims.info,
    )
    ttl_seconds = claims.expires_at - order.unix_now
    if claims.expires_at and ttl_seconds <= 0:
        return session.close(codes.CLOSE_EXPIRED)
    _renew(session, claims, order.now, ttl_seconds)
    push = RefreshPush(expires=bool(claims.expires_at), ttl=_ttl(claims, ttl_seconds))
    return [session.push(Push(refresh=push))]


def _connect(
    session: "Session",
    request: ConnectRequest,
    claims: ConnectClaims,
    now: float,
    ttl_seconds: int,
) -> list[Effect]:
    decision = admission.at_connect(request.subs, claims, session.rules)
    match decision:
        case codes.Disconnect():
            return session.close(decision)
        case codes.Error():
            return session.refused(decision)
        case Join():
            _renew(session, claims, now, ttl_seconds)
            named = {*claims.subs, *claims.channels}
            for item in decision.requests:
                subscribe.reserve(session, item, by_token=item.channel in named)
            return [decision]


def _renew(session: "Session", claims: ConnectClaims, now: float, ttl_seconds: int) -> None:
    session.claims = claims
    delay_seconds = session.rules.settings.expired_close_delay_seconds
    session.expires_at = now + ttl_seconds + delay_seconds if claims.expires_at else 0.0


def _ttl(claims: ConnectClaims, ttl_seconds: int) -> int:
    return min(max(0, ttl_seconds), _TTL_MAX_SECONDS) if claims.expires_at else 0
