"""What the server does to a session unasked: subscribe, unsubscribe, refresh.

An order waits for the command under way, so that it never meets a subscription half made.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from hub.realtime import codes
from hub.realtime.broker import StreamPosition
from hub.realtime.protocol.messages import EMPTY, Push, SubscribePush, SubscribeResult
from hub.realtime.sessions import admission
from hub.realtime.sessions.commands import connect, subscribe
from hub.realtime.sessions.effects import Effect
from hub.realtime.tokens.claims import SubscribeOptions

if TYPE_CHECKING:
    from hub.realtime.sessions.session import Session


class Subscribe(msgspec.Struct, frozen=True):
    """Make a subscription; `since` delivers what was published after that position."""

    channel: str
    options: SubscribeOptions
    since: StreamPosition | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """End a subscription, or all of them when no channel is named."""

    channel: str
    reason: codes.Unsubscribe


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is known of the connection; times count from when the order was given."""

    expires_at: int = 0
    info: Raw = EMPTY
    now: float
    unix_now: int


Order = Subscribe | Unsubscribe | Refresh


def start(session: "Session", order: Order) -> list[Effect]:
    """Begin an order."""
    if isinstance(order, Unsubscribe):
        channels = [order.channel] if order.channel else list(session.subscriptions)
        return [
            effect
            for channel in channels
            for effect in subscribe.end(session, channel, order.reason)
        ]
    if isinstance(order, Refresh):
        return connect.refreshed_by_server(session, order)
    decision = admission.by_server(
        order.channel, order.options, order.since, session, session.rules
    )
    if isinstance(decision, codes.Disconnect):
        return session.close(decision)
    if isinstance(decision, codes.Error):
        return []
    session.current = order
    for request in decision.requests:
        subscribe.reserve(session, request)
    return [decision]


def pushed(channel: str, result: SubscribeResult) -> Push:
    """Return the push that tells a client of its new subscription."""
    return Push(
        channel=channel,
        subscribe=SubscribePush(
            recoverable=result.recoverable,
            epoch=result.epoch,
            offset=result.offset,
            positioned=result.positioned,
            data=result.data,
        ),
    )
