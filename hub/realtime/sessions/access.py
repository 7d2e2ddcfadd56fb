"""Whether a client may publish in a channel, read its history, or see who is there."""

from hub.realtime import codes
from hub.realtime.protocol import json_framing, payload
from hub.realtime.protocol.messages import HistoryRequest, PresenceRequest, PublishRequest
from hub.realtime.sessions.admission import Member, Refusal, find_namespace, info
from hub.realtime.sessions.effects import CountPresence, PublishData, ReadHistory, ReadPresence
from hub.realtime.sessions.rules import Rules


def publish(request: PublishRequest, member: Member, rules: Rules) -> PublishData | Refusal:
    """Admit a publication where the namespace lets this client publish."""
    channel = request.channel
    if not channel:
        return codes.CLOSE_BAD_REQUEST
    if request.type:
        return codes.NOT_AVAILABLE
    namespace = find_namespace(channel, rules)
    if isinstance(namespace, codes.Error):
        return namespace
    data = bytes(request.data)
    if not payload.fits(data, namespace.publication_data_format):
        return codes.BAD_REQUEST
    subscribed = _is_subscribed(channel, member)
    if not (namespace.lets_publish(member.user, subscribed=subscribed) or rules.insecure):
        return codes.PERMISSION_DENIED
    return PublishData(
        channel=channel,
        namespace=namespace,
        data=data,
        info=json_framing.encode_info(info(member, channel)),
        binary=not payload.is_json(data),
    )


def read_history(request: HistoryRequest, member: Member, rules: Rules) -> ReadHistory | Refusal:
    """Admit to a page of a stream, of at most so many publications as the settings say."""
    if not request.channel:
        return codes.CLOSE_BAD_REQUEST
    namespace = find_namespace(request.channel, rules)
    if isinstance(namespace, codes.Error):
        return namespace
    if not namespace.has_history:
        return codes.NOT_AVAILABLE
    subscribed = _is_subscribed(request.channel, member)
    if not (namespace.lets_read_history(member.user, subscribed=subscribed) or rules.insecure):
        return codes.PERMISSION_DENIED
    most = rules.settings.recovery_max_publications
    return ReadHistory(
        channel=request.channel,
        since=request.since.offset if request.since else None,
        limit=min(request.limit, most) if request.limit >= 0 else most,
        reverse=request.reverse,
        meta_ttl_seconds=namespace.history_meta_ttl_seconds,
    )


def read_presence(request: PresenceRequest, member: Member, rules: Rules) -> ReadPresence | Refusal:
    """Admit to the list of who is in a channel."""
    return _presence_refusal(request, member, rules) or ReadPresence(request.channel)


def count_presence(
    request: PresenceRequest, member: Member, rules: Rules
) -> CountPresence | Refusal:
    """Admit to the number of clients and users in a channel."""
    return _presence_refusal(request, member, rules) or CountPresence(request.channel)


def _presence_refusal(request: PresenceRequest, member: Member, rules: Rules) -> Refusal | None:
    if not request.channel:
        return codes.CLOSE_BAD_REQUEST
    namespace = find_namespace(request.channel, rules)
    if isinstance(namespace, codes.Error):
        return namespace
    if not namespace.presence:
        return codes.NOT_AVAILABLE
    subscribed = _is_subscribed(request.channel, member)
    if not (namespace.lets_see_presence(member.user, subscribed=subscribed) or rules.insecure):
        return codes.PERMISSION_DENIED
    return None


def _is_subscribed(channel: str, member: Member) -> bool:
    subscription = member.subscriptions.get(channel)
    return subscription is not None and subscription.settled
