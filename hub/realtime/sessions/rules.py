"""What all sessions of a hub share: one object, so that a connection holds no copies."""

from collections.abc import Collection, Mapping

import msgspec

from core import config
from hub.realtime.channels import DEFAULT, Grammar
from hub.realtime.namespaces import Namespace


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and namespaces, and what the application behind the hub can answer."""

    settings: config.Realtime
    namespaces: Mapping[str, Namespace]
    grammar: Grammar = DEFAULT
    insecure: bool = False
    """Everybody may do everything in every channel: for development alone."""
    methods: Collection[str] = ()
    """The names of remote procedures."""
    hears_messages: bool = False
    """Whether somebody takes what clients `send`."""
    node_id: str = ""
    version: str = ""
