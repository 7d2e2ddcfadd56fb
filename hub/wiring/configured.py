"""What a Centrifugo configuration adds to the product: `realtime.config_path`.

Namespaces, the keys of an application's backend, each user's own channel and the server API's key.
Limits and addresses of the product stay in its own settings.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from core import config, log
from core.errors import ConfigError
from hub.realtime.centrifugo import file as config_file
from hub.realtime.centrifugo.file import Loaded
from hub.realtime.channels import DEFAULT, Grammar
from hub.realtime.namespaces import Namespace
from hub.realtime.tokens.verifier import TokenVerifier
from hub.wiring.channels import NAMESPACES

_ADDED: Final = frozenset(
    {
        "channel.history_meta_ttl",
        "channel.namespaces",
        "channel.publication_data_format",
        "channel.without_namespace",
        "client.subscribe_to_user_personal_channel",
        "client.subscription_token",
        "client.token",
        "http_api.key",
    }
)
# Ignoring these would change who may do what.
_REFUSED: Final = frozenset(
    {
        "channel.namespace_boundary",
        "channel.private_prefix",
        "channel.user_boundary",
        "channel.user_separator",
        "client.allow_anonymous_connect_without_token",
        "client.insecure",
        "http_api.insecure",
    }
)

_logger = log.get("realtime.configured")


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of channels, and who is let in besides the product's own users."""

    namespaces: Mapping[str, Namespace]
    grammar: Grammar
    api_keys: tuple[str, ...]
    connections: TokenVerifier | None = None
    subscriptions: TokenVerifier | None = None


def configured(settings: config.Realtime) -> Configured:
    """Return the product's own rules and those of the file, or raise ConfigError."""
    api_keys = tuple(settings.api_keys.split(","))
    if not settings.config_path:
        return Configured(namespaces=NAMESPACES, grammar=DEFAULT, api_keys=api_keys)
    loaded = config_file.load(settings.config_path)
    _check(loaded)
    for warning in loaded.warnings:
        _logger.warning("configuration_warning", text=warning)
    for option in sorted(loaded.options_set - _ADDED):
        _logger.warning("configuration_warning", text=f"{option} is ignored: see pinghub.toml")
    connections, subscriptions = config_file.token_verifiers(loaded.file)
    return Configured(
        namespaces={**loaded.namespaces, **NAMESPACES},
        grammar=loaded.grammar,
        api_keys=(*api_keys, *filter(None, (loaded.file.http_api.key,))),
        connections=connections,
        subscriptions=subscriptions,
    )


def _check(loaded: Loaded) -> None:
    for option in sorted(loaded.options_set & _REFUSED):
        raise ConfigError(f"realtime.config_path: {option} is not for the product: remove it")
    for name in sorted(loaded.namespaces.keys() & NAMESPACES.keys()):
        raise ConfigError(
            f"realtime.config_path: channel.namespaces: {name!r} is a namespace of the product:"
            " choose another name"
        )
