"""Whether a client may have what a command asks for, decided from what is known, without I/O.

An answer is the effect to carry out, the error that refuses the command, or the close of a client
that breaks the protocol. The order of the checks, and so the code of a command that is wrong in
two ways, is the original's.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from hub.realtime import channels, codes
from hub.realtime.broker import StreamPosition
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.messages import (
    EMPTY,
    ClientInfo,
    SubRefreshRequest,
    SubscribeRequest,
)
from hub.realtime.protocol.tags_filter import InvalidFilterError, compile_filter
from hub.realtime.sessions.effects import (
    Join,
    JoinRequest,
    VerifySubscription,
)
from hub.realtime.sessions.rules import Rules
from hub.realtime.sessions.subscriptions import Subscription, Terms, asked, terms
from hub.realtime.tokens.claims import (
    NO_OPTIONS,
    ConnectClaims,
    SubscribeClaims,
    SubscribeOptions,
)

_DELTAS: Final = ("", "fossil")
_FLAG_REJECT_UNRECOVERED: Final = 2

Refusal = codes.Error | codes.Disconnect


class Member(Protocol):
    """Who asks: a session, as far as admission looks at it."""

    @property
    def client_id(self) -> str:
        """The connection's id."""
        ...

    @property
    def user(self) -> str:
        """Its user; "" for an anonymous one."""
        ...

    @property
    def claims(self) -> ConnectClaims | None:
        """What its token says."""
        ...

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """Its subscriptions by channel."""
        ...


def subscribe(  # one per decision
    request: SubscribeRequest, member: Member, rules: Rules
) -> Join | VerifySubscription | Refusal:
    """Admit to a channel, as far as neither a token nor the application need be asked."""
    channel = request.channel
    refusal = _form_refusal(request, member, rules)
    if refusal:
        return refusal
    namespace = find_namespace(channel, rules)
    if isinstance(namespace, codes.Error):
        return namespace
    refusal = _filter_refusal(request, namespace)
    if refusal:
        return refusal
    if request.token and not namespace.signed_in:
        return VerifySubscription(request.token)
    allowed = without_token(channel, namespace, member.claims, rules)
    if allowed is False:
        return codes.PERMISSION_DENIED
    return _join(request, namespace, member, rules, ask=allowed is None)


def without_token(
    channel: str, namespace: Namespace, claims: ConnectClaims | None, rules: Rules
) -> bool | None:
    """Say whether somebody may join without a token; None leaves it to the application."""
    if claims is None or (namespace.signed_in and not claims.session_id):
        return False
    if channels.is_private(channel, rules.grammar):
        return False
    if _may_join(channel, namespace, claims.user, rules):
        return True
    limited = channels.is_user_limited(channel, namespace, rules.grammar)
    return None if namespace.ask and not limited else False


def _form_refusal(request: SubscribeRequest, member: Member, rules: Rules) -> Refusal | None:
    """Refuse what is wrong whatever the channel allows."""
    if not request.channel or request.delta not in _DELTAS:
        return codes.CLOSE_BAD_REQUEST
    if request.type:
        return codes.NOT_AVAILABLE
    if len(request.channel) > rules.settings.max_channel_length:
        return codes.BAD_REQUEST
    if request.channel in member.subscriptions:
        return codes.ALREADY_SUBSCRIBED
    if len(member.subscriptions) >= rules.settings.max_channels_per_client:
        return codes.LIMIT_EXCEEDED
    return None


def _filter_refusal(request: SubscribeRequest, namespace: Namespace) -> codes.Error | None:
    if request.tf is None:
        return None
    try:
        compile_filter(request.tf)
    except InvalidFilterError:
        return codes.BAD_REQUEST
    return None if namespace.allow_tags_filter else codes.BAD_REQUEST


def with_token(  # one per refusal
    request: SubscribeRequest,
    claims: SubscribeClaims,
    member: Member,
    rules: Rules,
    unix_now: int,
) -> Join | Refusal:
    """Admit who has a token for the channel."""
    if not _is_for(claims, request.channel, member):
        return codes.CLOSE_INVALID_TOKEN
    namespace = find_namespace(request.channel, rules)
    if isinstance(namespace, codes.Error):
        return namespace
    if 0 < claims.options.expires_at <= unix_now:
        return codes.EXPIRED
    return _join(request, namespace, member, rules, options=claims.options)


def at_connect(
    requested: Mapping[str, SubscribeRequest], claims: ConnectClaims, rules: Rules
) -> Join | Refusal:
    """Admit to the channels that the token names, the user's own, and requested ones.

    Requested channels that the client might not join by itself are left out without a word.
    """
    found: dict[str, tuple[Namespace, SubscribeOptions]] = {}
    named = claims.subs or dict.fromkeys(claims.channels, NO_OPTIONS)
    own = dict.fromkeys(
        channels.personal_channels(claims.user, rules.namespaces, rules.grammar), NO_OPTIONS
    )
    for channel, options in {**named, **own}.items():
        namespace = channels.resolve(channel, rules.namespaces, rules.grammar)
        if namespace is None:
            return codes.UNKNOWN_CHANNEL
        if namespace.signed_in and channel in named:
            return codes.PERMISSION_DENIED
        if claims.session_id or not namespace.signed_in:
            found[channel] = (namespace, options)
    for channel in requested.keys() - found.keys():
        namespace = channels.resolve(channel, rules.namespaces, rules.grammar)
        if namespace is None:
            return codes.CLOSE_BAD_REQUEST
        if (
            len(channel) <= rules.settings.max_channel_length
            and channels.is_valid(channel, namespace, rules.grammar)
            and without_token(channel, namespace, claims, rules)
        ):
            found[channel] = (namespace, NO_OPTIONS)
    if len(found) > rules.settings.max_channels_per_client:
        return codes.CLOSE_CHANNEL_LIMIT
    joins: list[JoinRequest] = []
    for channel, (namespace, options) in found.items():
        request = _position_of(requested.get(channel))
        agreed = terms(namespace, options)
        agreed = asked(agreed, namespace, request, history=False, members=False)
        joins.append(_join_request(channel, namespace, agreed, request))
    return Join(joins)


def by_server(
    channel: str,
    options: SubscribeOptions,
    since: StreamPosition | None,
    member: Member,
    rules: Rules,
) -> Join | Refusal:
    """Admit to a channel on the server's own order."""
    if channel in member.subscriptions:
        return codes.ALREADY_SUBSCRIBED
    if len(member.subscriptions) >= rules.settings.max_channels_per_client:
        return codes.CLOSE_CHANNEL_LIMIT
    namespace = channels.resolve(channel, rules.namespaces, rules.grammar)
    if namespace is None:
        return codes.UNKNOWN_CHANNEL
    agreed = terms(namespace, options)
    return Join(
        [
            JoinRequest(
                channel=channel,
                namespace=namespace,
                terms=agreed,
                since=since if agreed.recoverable else None,
                recovered_as_pushes=True,
            )
        ]
    )


def refresh(request: SubRefreshRequest, member: Member) -> Refusal | None:
    """Say why a subscription's token cannot be renewed, as far as the token need not be read."""
    if not request.channel:
        return codes.CLOSE_BAD_REQUEST
    subscription = member.subscriptions.get(request.channel)
    if subscription is None:
        return codes.PERMISSION_DENIED
    if subscription.by_server:
        return codes.CLOSE_BAD_REQUEST
    return None if request.token else codes.BAD_REQUEST


def refresh_with_token(
    channel: str, claims: SubscribeClaims, member: Member, unix_now: int
) -> Refusal | None:
    """Say why a token does not renew a subscription."""
    if not _is_for(claims, channel, member):
        return codes.CLOSE_INVALID_TOKEN
    if 0 < claims.options.expires_at < unix_now:
        return codes.CLOSE_SUBSCRIPTION_EXPIRED
    # Orders of the server wait for the command under way, so it is subscribed still; a lost
    # position does not wait.
    return None if channel in member.subscriptions else codes.PERMISSION_DENIED


def info(member: Member, channel: str, subscription: Subscription | None = None) -> ClientInfo:
    """Return what others learn about a client in a channel, also of a subscription just ended."""
    subscription = subscription or member.subscriptions.get(channel)
    return ClientInfo(
        user=member.user,
        client=member.client_id,
        conn_info=member.claims.info if member.claims else EMPTY,
        chan_info=subscription.terms.info if subscription else EMPTY,
    )


def _position_of(request: SubscribeRequest | None) -> SubscribeRequest:
    """Return of a request at connect what counts there: there is no reply that could refuse it."""
    if request is None:
        return SubscribeRequest()
    return SubscribeRequest(
        recover=request.recover, offset=request.offset, epoch=request.epoch, delta=request.delta
    )


def find_namespace(channel: str, rules: Rules) -> Namespace | codes.Error:
    """Return the rules of a channel, or why there are none for it."""
    if len(channel) > rules.settings.max_channel_length:
        return codes.BAD_REQUEST
    namespace = channels.resolve(channel, rules.namespaces, rules.grammar)
    if namespace is None:
        return codes.UNKNOWN_CHANNEL
    if not channels.is_valid(channel, namespace, rules.grammar):
        return codes.BAD_REQUEST
    return namespace


def _is_for(claims: SubscribeClaims, channel: str, member: Member) -> bool:
    return (
        claims.channel == channel
        and claims.user == member.user
        and claims.client in ("", member.client_id)
    )


def _may_join(channel: str, namespace: Namespace, user: str, rules: Rules) -> bool:
    """Say whether a user may join without a token and without asking the application."""
    if namespace.personal:
        allowed = channels.belongs_to(channel, user, rules.grammar)
    elif channels.is_user_limited(channel, namespace, rules.grammar):
        allowed = channels.lists_user(channel, user, rules.grammar)
    else:
        allowed = namespace.lets_subscribe(user) and not namespace.ask
    return allowed or rules.insecure


def _join(  # a request, its channel's rules, its sender, and what they gave it
    request: SubscribeRequest,
    namespace: Namespace,
    member: Member,
    rules: Rules,
    *,
    options: SubscribeOptions = NO_OPTIONS,
    ask: bool = False,
) -> Join:
    # What a subscriber may read counts as if it were one already.
    agreed = asked(
        terms(namespace, options),
        namespace,
        request,
        history=namespace.lets_read_history(member.user, subscribed=True) or rules.insecure,
        members=namespace.lets_see_presence(member.user, subscribed=True) or rules.insecure,
    )
    return Join([_join_request(request.channel, namespace, agreed, request, ask=ask)])


def _join_request(
    channel: str,
    namespace: Namespace,
    agreed: Terms,
    request: SubscribeRequest,
    *,
    ask: bool = False,
) -> JoinRequest:
    as_cache = agreed.recoverable and namespace.force_recovery_mode == "cache"
    recovers = request.recover or (as_cache and namespace.auto_cache_recover)
    since = StreamPosition(request.offset, request.epoch)
    return JoinRequest(
        channel=channel,
        namespace=namespace,
        terms=agreed,
        ask=ask,
        recovering=recovers,
        since=since if recovers and agreed.recoverable else None,
        as_cache=as_cache,
        reject_unrecovered=bool(request.flag & _FLAG_REJECT_UNRECOVERED) and not as_cache,
    )
