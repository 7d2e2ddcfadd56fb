"""The grammar of channel names: `$namespace:rest#user1,user2`.

Every part but the rest is optional. "$" asks for a subscription token, the part before ":" names
the namespace, what follows the last "#" lists the only users who may subscribe.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from hub.realtime.namespaces import Namespace

WITHOUT_NAMESPACE: Final = ""
"""The key of the rules for channels that name no namespace; without it they are unknown."""


class Grammar(msgspec.Struct, frozen=True, kw_only=True):
    """The characters with a meaning ("" turns one off), and each user's own channel."""

    namespace_boundary: str = ":"
    private_prefix: str = "$"
    user_boundary: str = "#"
    user_separator: str = ","
    subscribe_to_user_personal_channel: bool = False
    """Connections of a user are subscribed by the server to the channel `#user`…"""
    personal_channel_namespace: str = ""
    """…of this namespace."""


DEFAULT: Final = Grammar()


def resolve(
    channel: str, namespaces: Mapping[str, Namespace], grammar: Grammar
) -> Namespace | None:
    """Return the rules of a channel, or None when nobody configured its namespace."""
    return namespaces.get(_split(channel, grammar)[0])


def name_of(channel: str, namespaces: Mapping[str, Namespace], grammar: Grammar) -> str:
    """Return the name of a channel's namespace, "" when nobody configured it."""
    name = _split(channel, grammar)[0]
    return name if name in namespaces else ""


def is_valid(channel: str, namespace: Namespace, grammar: Grammar) -> bool:
    """Say whether a channel of the namespace may have this name."""
    rest = _split(channel, grammar)[1]
    # Without an expression the whole name has to be ASCII, and control characters serve nobody.
    return (
        channel.isprintable()
        and (bool(namespace.channel_regex) or channel.isascii())
        and namespace.accepts_name(rest)
    )


def is_private(channel: str, grammar: Grammar) -> bool:
    """Say whether only a subscription token opens the channel."""
    return bool(grammar.private_prefix) and channel.startswith(grammar.private_prefix)


def is_user_limited(channel: str, namespace: Namespace, grammar: Grammar) -> bool:
    """Say whether the name itself lists who may subscribe: nobody else may without a token."""
    boundary = grammar.user_boundary
    return namespace.allow_user_limited_channels and bool(boundary) and boundary in channel


def lists_user(channel: str, user: str, grammar: Grammar) -> bool:
    """Say whether a user-limited channel lists the user."""
    users = channel.rpartition(grammar.user_boundary)[2]
    listed = users.split(grammar.user_separator) if grammar.user_separator else [users]
    return bool(user) and user in listed


def belongs_to(channel: str, user: str, grammar: Grammar) -> bool:
    """Say whether a channel of a `personal` namespace is this user's own."""
    return bool(user) and _split(channel, grammar)[1] == user


def personal_channels(
    user: str, namespaces: Mapping[str, Namespace], grammar: Grammar
) -> list[str]:
    """Return the channels that the server subscribes a user's connections to."""
    if not user:
        return []
    boundary = grammar.namespace_boundary
    found = [f"{name}{boundary}{user}" for name, item in namespaces.items() if item.personal]
    if grammar.subscribe_to_user_personal_channel:
        name = grammar.personal_channel_namespace
        found.append(f"{name}{boundary if name else ''}{grammar.user_boundary}{user}")
    return found


def _split(channel: str, grammar: Grammar) -> tuple[str, str]:
    """Return namespace and rest; a channel without a namespace is all rest, prefix included."""
    boundary = grammar.namespace_boundary
    if not boundary:
        return WITHOUT_NAMESPACE, channel
    name, found, rest = channel.removeprefix(grammar.private_prefix).partition(boundary)
    return (name, rest) if found else (WITHOUT_NAMESPACE, channel)
