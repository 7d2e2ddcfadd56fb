"""Namespaces: what the channels of one namespace keep, show and allow.

Options are named and mean what Centrifugo's channel options of the same name do; times have their
unit in the name (`history_ttl_seconds` for `history_ttl`). Three are ours: `personal`, `ask` and
`signed_in`.
"""

import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

DELTA_FOSSIL: Final = "fossil"
"""The only type of delta that the protocol has."""


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of all channels of a namespace. Anonymous is whoever connected without a user."""

    personal: bool = False
    """The rest of the channel's name is a user id; its user is subscribed at connect."""
    ask: bool = False
    """Who may subscribe without a token is the application's decision, channel by channel."""
    signed_in: bool = False
    """For connections of sign-in sessions alone, and no token opens more: neither one for a channel
    nor the channels that a connection's token names."""

    presence: bool = False
    join_leave: bool = False
    force_push_join_leave: bool = False
    history_size: int = 0
    history_ttl_seconds: int = 0
    history_meta_ttl_seconds: int = 0
    """How long epoch and top are known; 0 is the broker's own choice."""
    force_positioning: bool = False
    allow_positioning: bool = False
    force_recovery: bool = False
    allow_recovery: bool = False
    force_recovery_mode: Literal["stream", "cache"] = "stream"
    """What recovery gives: everything missed, or (cache) the newest publication alone."""
    auto_cache_recover: bool = False
    """Whoever joins a cache gets its newest publication, also without asking to recover."""
    allowed_delta_types: tuple[str, ...] = ()
    delta_publish: bool = False
    allow_tags_filter: bool = False

    allow_subscribe_for_client: bool = False
    allow_subscribe_for_anonymous: bool = False
    """Anonymous clients too; each of these options needs one that allows it to somebody."""
    allow_publish_for_client: bool = False
    allow_publish_for_subscriber: bool = False
    allow_publish_for_anonymous: bool = False
    allow_presence_for_client: bool = False
    allow_presence_for_subscriber: bool = False
    allow_presence_for_anonymous: bool = False
    allow_history_for_client: bool = False
    allow_history_for_subscriber: bool = False
    allow_history_for_anonymous: bool = False

    allow_user_limited_channels: bool = False
    channel_regex: str = ""
    """What the channel's name after the boundary has to contain; "" asks for ASCII."""
    publication_data_format: Literal["", "json", "json_object", "binary"] = ""

    def __post_init__(self) -> None:
        if (self.history_size > 0) != (self.history_ttl_seconds > 0):
            raise ValueError("history needs both a size and a time to live")
        if 0 < self.history_meta_ttl_seconds < self.history_ttl_seconds:
            raise ValueError("history_meta_ttl must not be shorter than history_ttl")
        if (self.force_recovery or self.force_positioning) and not self.has_history:
            raise ValueError("recovery and positioning need history")
        is_cache = self.force_recovery and self.force_recovery_mode == "cache"
        if self.auto_cache_recover and not is_cache:
            raise ValueError(
                "auto_cache_recover needs force_recovery and force_recovery_mode cache"
            )
        if not {DELTA_FOSSIL}.issuperset(self.allowed_delta_types):
            raise ValueError(f"the only delta type is {DELTA_FOSSIL}")
        try:
            re.compile(self.channel_regex)
        except re.error as error:
            raise ValueError(f"channel_regex: {error}") from None

    @property
    def has_history(self) -> bool:
        """Whether publications get offsets and are kept."""
        return self.history_size > 0

    def lets_subscribe(self, user: str) -> bool:
        """Say whether a client may subscribe without token and without being asked about."""
        return self.allow_subscribe_for_client and (
            bool(user) or self.allow_subscribe_for_anonymous
        )

    def lets_publish(self, user: str, *, subscribed: bool) -> bool:
        """Say whether a client may publish."""
        allowed = self.allow_publish_for_client or (
            self.allow_publish_for_subscriber and subscribed
        )
        return allowed and (bool(user) or self.allow_publish_for_anonymous)

    def lets_see_presence(self, user: str, *, subscribed: bool) -> bool:
        """Say whether a client may ask who is present, where presence is kept."""
        allowed = self.allow_presence_for_client or (
            self.allow_presence_for_subscriber and subscribed
        )
        return allowed and (bool(user) or self.allow_presence_for_anonymous)

    def lets_read_history(self, user: str, *, subscribed: bool) -> bool:
        """Say whether a client may read the stream, where one is kept."""
        allowed = self.allow_history_for_client or (
            self.allow_history_for_subscriber and subscribed
        )
        return allowed and (bool(user) or self.allow_history_for_anonymous)

    def accepts_name(self, rest: str) -> bool:
        """Say whether the part of a channel's name after the boundary fits the namespace."""
        if not self.channel_regex:
            return rest.isascii()
        return _compiled(self.channel_regex).search(rest) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Go's regular expressions, which the option is written in, take \d and \w for ASCII.
    return re.compile(pattern, re.ASCII)
