"""What a subscription may have, put together from its namespace, its token and its request."""

import msgspec
from msgspec import Raw

from hub.realtime.namespaces import Namespace
from hub.realtime.protocol.messages import EMPTY, SubscribeRequest
from hub.realtime.protocol.tags_filter import TagsFilter, compile_filter
from hub.realtime.tokens.claims import NO_OPTIONS, SubscribeOptions


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one subscription. `expires_at` is in Unix seconds; 0 never expires."""

    presence: bool = False
    announced: bool = False
    """Joining and leaving are published to the channel."""
    hears_members: bool = False
    """Joins and leaves of others are pushed to this subscriber."""
    positioned: bool = False
    recoverable: bool = False
    delta: bool = False
    tags_filter: TagsFilter | None = None
    info: Raw = EMPTY
    data: Raw = EMPTY
    expires_at: int = 0


class Subscription(msgspec.Struct):
    """A subscription in its session; reserved while it is being made, settled after."""

    namespace: Namespace
    terms: Terms
    by_server: bool = False
    by_token: bool = False
    """Named in the connection's token: a new token has to name it too."""
    settled: bool = False
    ends_at: float = 0.0
    """When the server ends it unless it is renewed, on the session's clock; 0 never."""


def terms(namespace: Namespace, options: SubscribeOptions = NO_OPTIONS) -> Terms:
    """Return what a namespace gives where the options leave it to the namespace."""
    recoverable = _chosen(options.force_recovery, namespace.force_recovery)
    positioned = _chosen(options.force_positioning, namespace.force_positioning)
    # Without a stream a position proves nothing, so none is promised.
    kept = namespace.has_history
    return Terms(
        presence=_chosen(options.presence, namespace.presence),
        announced=_chosen(options.join_leave, namespace.join_leave),
        hears_members=_chosen(options.force_push_join_leave, namespace.force_push_join_leave),
        positioned=kept and (positioned or recoverable),
        recoverable=kept and recoverable,
        info=options.info,
        data=options.data,
        expires_at=options.expires_at,
    )


def asked(
    agreed: Terms, namespace: Namespace, request: SubscribeRequest, *, history: bool, members: bool
) -> Terms:
    """Add what the client asks for and may have; `history`, `members`: it may read these anyway."""
    kept = namespace.has_history
    recoverable = request.recoverable and kept and (namespace.allow_recovery or history)
    positioned = request.positioned and kept and (namespace.allow_positioning or history)
    return msgspec.structs.replace(
        agreed,
        recoverable=agreed.recoverable or recoverable,
        positioned=agreed.positioned or positioned or recoverable,
        delta=request.tf is None and request.delta in namespace.allowed_delta_types,
        tags_filter=compile_filter(request.tf) if request.tf else None,
        hears_members=agreed.hears_members
        or (request.join_leave and namespace.join_leave and members),
    )


def _chosen(option: bool | None, otherwise: bool) -> bool:  # two values, one meaning
    return otherwise if option is None else option
