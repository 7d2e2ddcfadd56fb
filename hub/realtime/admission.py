"""Whether a client may have what a command asks for, decided from what is known, without I/O.

An answer is the effect to carry out, the error that refuses the command, or the close of a client
that breaks the protocol.
"""

from collections.abc import Collection, Mapping
from typing import Final

from msgspec.structs import replace

from core import config
from hub.realtime import codes, namespaces
from hub.realtime.broker import StreamPosition
from hub.realtime.effects import Join, JoinRequest, PublishData, ReadHistory
from hub.realtime.namespaces import Namespace
from hub.realtime.protocol import json_framing, payload
from hub.realtime.protocol.messages import (
    ClientInfo,
    HistoryRequest,
    PublishRequest,
    SubscribeRequest,
)
from hub.realtime.protocol.tags_filter import InvalidFilterError, TagsFilter, compile_filter

_FLAG_REJECT_UNRECOVERED: Final = 2
_FOSSIL: Final = "fossil"

Refusal = codes.Error | codes.Disconnect


def subscribe(  # noqa: PLR0911  # one per refusal
    request: SubscribeRequest,
    known: Mapping[str, Namespace],
    subscriptions: Collection[str],
    user: str,
    settings: config.Realtime,
) -> Join | Refusal:
    """Admit to a channel, as far as the application need not be asked."""
    channel = request.channel
    if not channel:
        return codes.CLOSE_BAD_REQUEST
    if not _is_channel_name(channel, settings.max_channel_length):
        return codes.BAD_REQUEST
    if channel in subscriptions:
        return codes.ALREADY_SUBSCRIBED
    if len(subscriptions) >= settings.max_channels_per_client:
        return codes.LIMIT_EXCEEDED
    namespace = namespaces.find(known, channel)
    if namespace is None:
        return codes.UNKNOWN_CHANNEL
    if request.type:
        return codes.NOT_AVAILABLE
    if namespace.personal and not namespaces.belongs_to(channel, user):
        return codes.PERMISSION_DENIED
    try:
        tags_filter = _tags_filter(request, namespace)
    except InvalidFilterError:
        return codes.BAD_REQUEST
    join = _join_request(channel, namespace, request)
    delta = request.delta == _FOSSIL and _FOSSIL in namespace.allowed_delta_types
    return Join([replace(join, delta=delta, tags_filter=tags_filter)])


def personal(
    asked: Mapping[str, SubscribeRequest], known: Mapping[str, Namespace], user: str
) -> Join:
    """Admit a user to their own channels, from the positions that the client knows."""
    requests: list[JoinRequest] = []
    for channel in namespaces.personal_channels(known, user):
        request = asked.get(channel, SubscribeRequest())
        request.flag = 0  # there is no reply of its own to carry an error
        namespace = known[channel.partition(namespaces.BOUNDARY)[0]]
        requests.append(_join_request(channel, namespace, request))
    return Join(requests)


def publish(
    request: PublishRequest,
    known: Mapping[str, Namespace],
    subscriptions: Collection[str],
    user: str,
    client_id: str,
) -> PublishData | Refusal:
    """Admit a publication of a subscriber where the namespace lets clients publish."""
    if not request.channel:
        return codes.CLOSE_BAD_REQUEST
    namespace = namespaces.find(known, request.channel)
    if namespace is None:
        return codes.UNKNOWN_CHANNEL
    if not namespace.allow_publish_for_subscriber or request.channel not in subscriptions:
        return codes.PERMISSION_DENIED
    data = bytes(request.data)
    if not payload.fits(data, namespace.publication_data_format):
        return codes.BAD_REQUEST
    return PublishData(
        channel=request.channel,
        namespace=namespace,
        data=data,
        info=json_framing.encode_info(ClientInfo(user=user, client=client_id)),
    )


def read_history(
    request: HistoryRequest,
    known: Mapping[str, Namespace],
    subscriptions: Collection[str],
    most: int,
) -> ReadHistory | Refusal:
    """Admit a subscriber to at most so many publications of a stream."""
    if not request.channel:
        return codes.CLOSE_BAD_REQUEST
    namespace = namespaces.find(known, request.channel)
    if namespace is None:
        return codes.UNKNOWN_CHANNEL
    if request.channel not in subscriptions or not namespace.allow_history_for_subscriber:
        return codes.PERMISSION_DENIED
    if not namespace.has_history:
        return codes.NOT_AVAILABLE
    return ReadHistory(
        channel=request.channel,
        since=request.since.offset if request.since else None,
        limit=min(request.limit, most) if request.limit >= 0 else most,
        reverse=request.reverse,
    )


def _is_channel_name(channel: str, longest: int) -> bool:
    return (
        len(channel) <= longest
        and channel.isascii()
        and channel.isprintable()
        and " " not in channel
    )


def _tags_filter(request: SubscribeRequest, namespace: Namespace) -> TagsFilter | None:
    if request.tf is None:
        return None
    # With deltas, what is filtered out would be missing below the next patch.
    if request.delta or not namespace.allow_tags_filter:
        raise InvalidFilterError("filters are not allowed here")
    return compile_filter(request.tf)


def _join_request(channel: str, namespace: Namespace, request: SubscribeRequest) -> JoinRequest:
    since = None
    if request.recover and namespace.force_recovery:
        since = StreamPosition(request.offset, request.epoch)
    return JoinRequest(
        channel=channel,
        namespace=namespace,
        ask=not namespace.personal,
        since=since,
        reject_unrecovered=bool(request.flag & _FLAG_REJECT_UNRECOVERED),
    )
