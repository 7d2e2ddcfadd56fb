"""The commands `subscribe`, `unsubscribe` and `sub_refresh`, and what ends a subscription."""

from typing import TYPE_CHECKING

import msgspec

from hub.realtime import codes, metrics
from hub.realtime.protocol.messages import (
    Command,
    Push,
    Reply,
    SubRefreshResult,
    UnsubscribePush,
    UnsubscribeResult,
)
from hub.realtime.sessions import admission
from hub.realtime.sessions.commands import connect, orders
from hub.realtime.sessions.effects import (
    Effect,
    Join,
    Joined,
    JoinRequest,
    Leave,
    VerifySubscription,
    Write,
)
from hub.realtime.sessions.subscriptions import Subscription
from hub.realtime.tokens.claims import ConnectClaims, SubscribeClaims

if TYPE_CHECKING:
    from hub.realtime.sessions.session import Session


def start(session: "Session", command: Command) -> list[Effect]:
    """Begin to subscribe."""
    request = command.subscribe
    if request is None:
        return []
    return _begin(session, admission.subscribe(request, session, session.rules))


def refresh(session: "Session", command: Command) -> list[Effect]:
    """Begin to renew a subscription's token."""
    request = command.sub_refresh
    if request is None:
        return []
    refusal = admission.refresh(request, session)
    return _begin(session, refusal or VerifySubscription(request.token))


def verified(
    session: "Session", claims: SubscribeClaims, now: float, unix_now: int
) -> list[Effect]:
    """The subscription token of the command under way is good."""
    if not isinstance(session.current, Command):
        return []
    if session.current.subscribe is not None:
        request = session.current.subscribe
        decision = admission.with_token(request, claims, session, session.rules, unix_now)
    elif session.current.sub_refresh is not None:
        channel = session.current.sub_refresh.channel
        decision = admission.refresh_with_token(channel, claims, session, unix_now)
        if decision is None:
            return _refreshed(session, channel, claims, now, unix_now)
    else:
        return []
    effects = _begin(session, decision)
    # A refused command makes room for the next; a join has to be waited for.
    return effects if session.current else [*effects, *session.work()]


def token_invalid(session: "Session") -> list[Effect]:
    """The subscription token under way is worthless."""
    if isinstance(session.current, Command) and session.current.subscribe is not None:
        return session.refused(codes.PERMISSION_DENIED)
    return session.close(codes.CLOSE_INVALID_TOKEN)


def token_expired(session: "Session") -> list[Effect]:
    """The subscription token under way was good once."""
    if isinstance(session.current, Command) and session.current.subscribe is not None:
        return session.refused(codes.TOKEN_EXPIRED)
    # An error reply would be final for SDKs; this close makes them come back.
    return session.close(codes.CLOSE_SUBSCRIPTION_EXPIRED)


def reserve(session: "Session", request: JoinRequest, *, by_token: bool = False) -> None:
    """Take the channel's place in the session until its subscription stands or fails."""
    by_server = not isinstance(session.current, Command) or session.current.connect is not None
    session.subscriptions[request.channel] = Subscription(
        namespace=request.namespace,
        terms=request.terms,
        by_server=by_server,
        by_token=by_token,
    )


def withdraw(session: "Session", channel: str) -> None:
    """Give up a subscription that could not be made."""
    subscription = session.subscriptions.get(channel)
    if subscription and not subscription.settled:
        del session.subscriptions[channel]


def settle(
    session: "Session", joined: dict[str, Joined], now: float, unix_now: int
) -> list[Effect]:
    """Note that subscriptions stand, complete their results, and return the pushes that follow."""
    late: list[Effect] = []
    for channel, item in joined.items():
        subscription = session.subscriptions[channel]
        subscription.settled = True
        item.result.data = subscription.terms.data
        expires_at = subscription.terms.expires_at
        if expires_at:
            _set_end(session, subscription, expires_at - unix_now, now)
            if not subscription.by_server:
                item.result.expires = True
                item.result.ttl = max(0, expires_at - unix_now)
        late += [Write(message) for message in item.late]
    _find_next_end(session)
    return late


def joined(
    session: "Session", joined: dict[str, Joined], now: float, unix_now: int
) -> list[Effect]:
    """The subscriptions of what is under way stand."""
    current = session.current
    if current is None:
        return []
    if isinstance(current, orders.Subscribe):
        late = settle(session, joined, now, unix_now)
        session.current = None
        push = orders.pushed(current.channel, joined[current.channel].result)
        return [session.push(push), *late, *session.work()]
    if current.connect is not None:
        return connect.joined(session, joined, now, unix_now)
    late = settle(session, joined, now, unix_now)
    (only,) = joined.values()
    return session.answer(Reply(subscribe=only.result), late)


def unsubscribe(session: "Session", command: Command) -> list[Effect]:
    """End a subscription that the client does not want any more."""
    request = command.unsubscribe
    if request is None or not request.channel:
        return session.close(codes.CLOSE_BAD_REQUEST)
    left = leave(session, request.channel)
    return [*left, *session.reply(Reply(unsubscribe=UnsubscribeResult()))]


def leave(session: "Session", channel: str) -> list[Effect]:
    """Let go of a channel; nothing when it is not subscribed."""
    subscription = session.subscriptions.pop(channel, None)
    if subscription is None:
        return []
    _find_next_end(session)
    return [Leave(channel, subscription)]


def end(session: "Session", channel: str, reason: codes.Unsubscribe) -> list[Effect]:
    """End a subscription from the server's side and tell the client."""
    left = leave(session, channel)
    if not left:
        return []
    metrics.UNSUBSCRIBES.labels(code=metrics.unsubscribe_label(reason.code)).inc()
    unsubscribed = UnsubscribePush(code=reason.code, reason=reason.reason)
    return [*left, session.push(Push(channel=channel, unsubscribe=unsubscribed))]


def lost_state(session: "Session", channel: str) -> list[Effect]:
    """Publications of a channel were missed: the client has to recover or refetch."""
    subscription = session.subscriptions.get(channel)
    if session.is_closed or subscription is None:
        return []
    if subscription.by_server:
        return [*leave(session, channel), *session.close(codes.CLOSE_INSUFFICIENT_STATE)]
    return end(session, channel, codes.UNSUBSCRIBED_INSUFFICIENT_STATE)


def expire(session: "Session", now: float) -> list[Effect]:
    """End the subscriptions that nobody renewed in time."""
    effects: list[Effect] = []
    for channel, subscription in list(session.subscriptions.items()):
        if not subscription.ends_at or now < subscription.ends_at:
            continue
        if subscription.by_server:
            return [*effects, *session.close(codes.CLOSE_SUBSCRIPTION_EXPIRED)]
        effects += end(session, channel, codes.UNSUBSCRIBED_EXPIRED)
    return effects


def token_channels_changed(session: "Session", claims: ConnectClaims) -> bool:
    """Say whether a new token names other channels than those that the connection has from it."""
    named = {*claims.subs, *claims.channels}
    had = {channel for channel, item in session.subscriptions.items() if item.by_token}
    return not named <= session.subscriptions.keys() or not had <= named


def _begin(session: "Session", decision: Effect | admission.Refusal) -> list[Effect]:
    match decision:
        case codes.Disconnect():
            return session.close(decision)
        case codes.Error():
            # Not `refused`: the channel may be subscribed, and stays so.
            return session.refuse(decision)
        case Join(requests=[request]):
            reserve(session, request)
            return [decision]
        case effect:
            return [effect]


def _refreshed(
    session: "Session", channel: str, claims: SubscribeClaims, now: float, unix_now: int
) -> list[Effect]:
    subscription = session.subscriptions[channel]
    options = claims.options
    subscription.terms = msgspec.structs.replace(
        subscription.terms, info=options.info, expires_at=options.expires_at
    )
    ttl_seconds = options.expires_at - unix_now
    subscription.ends_at = 0.0
    if options.expires_at:
        _set_end(session, subscription, ttl_seconds, now)
    _find_next_end(session)
    result = SubRefreshResult(
        expires=bool(options.expires_at), ttl=max(0, ttl_seconds) if options.expires_at else 0
    )
    return session.answer(Reply(sub_refresh=result))


def _set_end(session: "Session", subscription: Subscription, ttl_seconds: int, now: float) -> None:
    delay_seconds = session.rules.settings.expired_subscription_close_delay_seconds
    subscription.ends_at = now + ttl_seconds + delay_seconds


def _find_next_end(session: "Session") -> None:
    ends = [item.ends_at for item in session.subscriptions.values() if item.ends_at]
    session.subscriptions_end_at = min(ends, default=0.0)
