"""Namespaces: what the part of a channel's name before the colon allows and keeps."""

from collections.abc import Mapping
from typing import Final

import msgspec

BOUNDARY: Final = ":"


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of all channels `name:…`; the options are named as Centrifugo names them."""

    personal: bool = False
    """The rest of the channel's name is a user id; its user is subscribed at connect."""
    history_size: int = 0
    history_ttl_seconds: int = 0
    force_recovery: bool = False
    force_positioning: bool = False
    allow_history_for_subscriber: bool = True
    allow_publish_for_subscriber: bool = False

    def __post_init__(self) -> None:
        if (self.history_size > 0) != (self.history_ttl_seconds > 0):
            raise ValueError("history needs both a size and a time to live")
        if (self.force_recovery or self.force_positioning) and not self.has_history:
            raise ValueError("recovery and positioning need history")

    @property
    def has_history(self) -> bool:
        """Whether publications get offsets and are kept."""
        return self.history_size > 0


def find(namespaces: Mapping[str, Namespace], channel: str) -> Namespace | None:
    """Return the namespace of a channel, or None when nobody configured it."""
    name, boundary, _ = channel.partition(BOUNDARY)
    return namespaces.get(name) if boundary else None


def belongs_to(channel: str, user: str) -> bool:
    """Say whether a personal channel is this user's own."""
    return channel.partition(BOUNDARY)[2] == user


def personal_channels(namespaces: Mapping[str, Namespace], user: str) -> list[str]:
    """Return the channels that a user's connections are subscribed to by the server."""
    if not user:
        return []
    return [f"{name}{BOUNDARY}{user}" for name, item in namespaces.items() if item.personal]
