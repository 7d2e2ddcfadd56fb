"""Reads a Centrifugo v6 configuration file and says it in this server's words.

Wrong values refuse to start (ConfigError with the option's path). Options that mean nothing here
are returned as warnings. Ignoring an option never opens what it would have kept shut.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args, get_origin
from urllib.parse import quote, urlsplit

import msgspec
from msgspec.structs import asdict, fields, replace

from core import config
from core.errors import ConfigError
from hub.realtime.centrifugo import options
from hub.realtime.centrifugo.options import OLDER, OLDER_HINT, UNSUPPORTED, Duration
from hub.realtime.channels import WITHOUT_NAMESPACE, Grammar
from hub.realtime.namespaces import Namespace
from hub.realtime.tokens.jwks import EndpointKeys
from hub.realtime.tokens.signatures import HMAC_KEY_MIN_BYTES, FixedKeys, KeySource
from hub.realtime.tokens.verifier import Rules, TokenVerifier

_CHANNEL_SECTIONS: Final = ("channel.without_namespace", "channel.namespaces")
_LOG_LEVELS: Final = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARNING",
}
_WHAT_IT_READS: Final = "a Centrifugo v6 configuration: .json, .yaml, .yml or .toml"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says. `file` is as it was written, for what only a standalone server needs."""

    file: options.File
    settings: config.Realtime
    grammar: Grammar
    namespaces: dict[str, Namespace]
    warnings: list[str]
    """One sentence for each option that is ignored, with its path."""
    options_set: frozenset[str]
    """Which options of those that count the file sets, down to their second level."""


def load(path: str) -> Loaded:
    """Read and check a file, or raise ConfigError naming the option and the remedy."""
    return _interpret(path, _read(path))


def defaults() -> Loaded:
    """Return what an empty file says."""
    return _interpret("", {})


def _interpret(path: str, raw: dict[str, Any]) -> Loaded:
    try:
        file = msgspec.convert(raw, options.File, strict=False, dec_hook=options.decode)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(path, error)) from None
    warnings = [_warning(place, value) for place, value in _unread(raw, options.File, "")]
    if not OLDER.isdisjoint(raw):
        warnings.append(OLDER_HINT)
    _check_server(file)
    namespaces = _namespaces(file, raw, warnings)
    grammar = _grammar(file, namespaces)
    for name, token in _tokens(file).items():
        warnings += _weak_secrets(name, token)
    return Loaded(
        file=file,
        settings=_settings(file),
        grammar=grammar,
        namespaces=namespaces,
        warnings=warnings,
        options_set=frozenset(_set(raw)),
    )


def token_verifiers(file: options.File) -> tuple[TokenVerifier, TokenVerifier]:
    """Return the verifiers of connection and of subscription tokens, or raise ConfigError."""
    connection, *other = (_verifier(name, token) for name, token in _tokens(file).items())
    return connection, other[0] if other else connection


def redis_settings(file: options.File) -> config.Redis | None:
    """Return where the broker is, None for memory, or raise ConfigError."""
    place = "broker" if file.broker.enabled else "engine"
    chosen = file.broker if file.broker.enabled else file.engine
    if chosen.type == "memory":
        return None
    redis = chosen.redis
    if redis.cluster_address or redis.sentinel_address:
        raise ConfigError(f"{place}.redis: clusters and sentinels are not supported; set address")
    addresses = _list(redis.address)
    if len(addresses) != 1 or "," in addresses[0]:
        raise ConfigError(f"{place}.redis.address: set one; several Redis are not supported")
    url = _redis_url(f"{place}.redis.address", addresses[0], redis)
    return config.Redis(
        url=url, key_prefix=redis.prefix, call_deadline_seconds=redis.io_timeout.seconds
    )


def log_level(file: options.File) -> str:
    """Return the level in our words."""
    return _LOG_LEVELS.get(file.log.level, "ERROR")


def allowed_origins(file: options.File) -> tuple[str, ...]:
    """Return which pages may connect."""
    return tuple(_list(file.client.allowed_origins))


def _read(path: str) -> dict[str, Any]:
    suffix = Path(path).suffix.lower()
    try:
        content = Path(path).read_bytes()
        match suffix:
            case ".json":
                raw = json.loads(content)
            case ".toml":
                raw = tomllib.loads(content.decode())
            case ".yaml" | ".yml":
                raw = msgspec.yaml.decode(content)
            case _:
                raise ConfigError(f"{path}: is not {_WHAT_IT_READS}")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is no {suffix[1:]}: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: has to hold one object, {_WHAT_IT_READS}")
    return _without_null(cast("dict[str, Any]", raw))


def _without_null(value: Any) -> Any:  # noqa: ANN401  # JSON of any shape
    """Leave out what is null: it says no more than what is missing."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {name: _without_null(item) for name, item in items if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in cast("list[Any]", value)]
    return value


def _unread(raw: Any, kind: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # JSON
    """Yield the paths that `kind` has no fields for, with their values."""
    if get_origin(kind) is list and isinstance(raw, list):
        for number, item in enumerate(cast("list[Any]", raw)):
            yield from _unread(item, get_args(kind)[0], f"{path}[{number}]")
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(raw, dict):
        known = {item.name: item.type for item in fields(kind)}
        for name, value in cast("dict[str, Any]", raw).items():
            place = f"{path}.{name}".removeprefix(".")
            if name in known:
                yield from _unread(value, known[name], place)
            elif not (_reason(place) and _asks_for_nothing(value)):
                yield place, value


def _set(raw: dict[str, Any]) -> Iterator[str]:
    sections = {item.name: item.type for item in fields(options.File)}
    for section, kind in sections.items():
        known = {item.name for item in fields(kind)}
        yield from (f"{section}.{name}" for name in raw.get(section, {}) if name in known)


def _warning(path: str, value: object) -> str:
    del value  # it may be a secret
    reason = _reason(path)
    return f"{path} is ignored: {reason}" if reason else f"{path} is ignored: no such option"


def _reason(path: str) -> str:
    for section in _CHANNEL_SECTIONS:
        if path.startswith(section):
            path = f"channel.namespaces.{path.rpartition('.')[2]}"
    return UNSUPPORTED.get(path, "")


def _asks_for_nothing(value: Any) -> bool:  # noqa: ANN401  # JSON of any shape
    """Say whether an option that is not supported is off, as it is here."""
    if isinstance(value, dict):
        section = cast("dict[str, Any]", value)
        return section.get("enabled", bool(section)) is False or section.get("disabled") is True
    return value in (False, 0, "", [], "0s", "default", "stream", "memory")


def _check_server(file: options.File) -> None:
    server = file.http_server
    for name, is_set, remedy in (
        ("tls.enabled", server.tls.enabled, "let a proxy in front speak TLS, and remove it"),
        ("tls_autocert.enabled", server.tls_autocert.enabled, "let a proxy in front speak TLS"),
        (
            "internal_port",
            str(server.internal_port) not in ("", str(server.port)),
            "remove it, and",
        ),
    ):
        if is_set:
            more = " keep /api and /metrics from the world by a proxy" if "port" in name else ""
            raise ConfigError(f"http_server.{name}: is not supported: {remedy}{more}")
    prefixes = [
        item.handler_prefix
        for item in (
            file.websocket,
            file.sse,
            file.http_stream,
            file.emulation,
            file.http_api,
            file.health,
            file.prometheus,
        )
    ]
    if any(not prefix.startswith("/") for prefix in prefixes) or len({*prefixes}) < len(prefixes):
        raise ConfigError("handler_prefix: each has to begin with / and differ from the others")


def _settings(file: options.File) -> config.Realtime:
    client = file.client
    return config.Realtime(
        api_keys=file.http_api.key,
        ping_interval_seconds=_positive("client.ping_interval", client.ping_interval),
        pong_timeout_seconds=_positive("client.pong_timeout", client.pong_timeout),
        stale_close_seconds=_positive("client.stale_close_delay", client.stale_close_delay),
        expired_close_delay_seconds=_positive(
            "client.expired_close_delay", client.expired_close_delay
        ),
        expired_subscription_close_delay_seconds=_positive(
            "client.expired_sub_close_delay", client.expired_sub_close_delay
        ),
        max_connections=client.connection_limit,
        max_connections_per_user=client.user_connection_limit,
        position_check_seconds=_positive(
            "client.channel_position_check_delay", client.channel_position_check_delay
        ),
        max_message_bytes=file.websocket.message_size_limit,
        buffer_max_bytes=client.queue_max_size or 1_048_576,
        max_channels_per_client=client.channel_limit or 128,
        max_channel_length=file.channel.max_length,
        recovery_max_publications=client.recovery_max_publication_limit or 300,
        websocket_deflate=file.websocket.compression,
    )


def _positive(path: str, duration: Duration) -> float:
    if duration.seconds <= 0:
        raise ConfigError(f"{path}: has to be longer than nothing, such as 25s")
    return duration.seconds


def _grammar(file: options.File, namespaces: Mapping[str, Namespace]) -> Grammar:
    personal = file.client.subscribe_to_user_personal_channel
    name = personal.personal_channel_namespace
    if personal.enabled and name not in namespaces:
        raise ConfigError(
            "client.subscribe_to_user_personal_channel.personal_channel_namespace:"
            f" there is no namespace {name!r} in channel.namespaces"
        )
    channel = file.channel
    return Grammar(
        namespace_boundary=channel.namespace_boundary,
        private_prefix=channel.private_prefix,
        user_boundary=channel.user_boundary,
        user_separator=channel.user_separator,
        subscribe_to_user_personal_channel=personal.enabled,
        personal_channel_namespace=name,
    )


def _namespaces(
    file: options.File, raw: dict[str, Any], warnings: list[str]
) -> dict[str, Namespace]:
    written = raw.get("channel", {})
    found: dict[str, Namespace] = {}
    for place, name, channels, source in (
        (
            "channel.without_namespace",
            WITHOUT_NAMESPACE,
            file.channel.without_namespace,
            written.get("without_namespace", {}),
        ),
        *(
            (f"channel.namespaces[{number}]", item.name, item, written["namespaces"][number])
            for number, item in enumerate(file.channel.namespaces)
        ),
    ):
        if name in found:
            raise ConfigError(f"{place}.name: {name!r} is the name of another namespace already")
        if source.get("subscription_type", "") not in ("", "stream"):
            continue
        namespace = _namespace(place, channels, file.channel, warnings)
        found[name] = _shut(namespace, source)
    return found


def _namespace(
    place: str, channels: options.Channels, common: options.Channel, warnings: list[str]
) -> Namespace:
    chosen = {
        name: value
        for name, value in asdict(channels).items()
        if name not in ("name", "history_ttl", "history_meta_ttl")
    }
    meta_ttl = channels.history_meta_ttl
    if not meta_ttl.seconds:
        meta_ttl = common.history_meta_ttl
    if channels.force_positioning and not channels.history_size:
        warnings.append(f"{place}.force_positioning is ignored: it needs history_size")
        chosen["force_positioning"] = False
    chosen["force_recovery_mode"] = channels.force_recovery_mode or "stream"
    chosen["allowed_delta_types"] = tuple(channels.allowed_delta_types)
    chosen["publication_data_format"] = (
        channels.publication_data_format or common.publication_data_format
    )
    try:
        return Namespace(
            history_ttl_seconds=channels.history_ttl.whole_seconds,
            history_meta_ttl_seconds=meta_ttl.whole_seconds,
            **chosen,
        )
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None


def _shut(namespace: Namespace, source: Mapping[str, Any]) -> Namespace:
    """Refuse to clients what a proxy would have decided."""
    streams = bool(source.get("subscribe_stream_proxy_enabled"))
    if streams or source.get("subscribe_proxy_enabled"):
        namespace = replace(namespace, allow_subscribe_for_client=False)
    if streams or source.get("publish_proxy_enabled"):
        namespace = replace(
            namespace, allow_publish_for_client=False, allow_publish_for_subscriber=False
        )
    return namespace


def _tokens(file: options.File) -> dict[str, options.Token]:
    found: dict[str, options.Token] = {"client.token": file.client.token}
    if file.client.subscription_token.enabled:
        found["client.subscription_token"] = file.client.subscription_token
    return found


def _verifier(place: str, token: options.Token) -> TokenVerifier:
    for name in ("audience", "issuer"):
        if getattr(token, name) and getattr(token, f"{name}_regex"):
            raise ConfigError(f"{place}.{name}: set it or {name}_regex, not both")
    try:
        rules = Rules(**{item.name: getattr(token, item.name) for item in fields(Rules)})
        keys: KeySource = (
            EndpointKeys(token.jwks_public_endpoint)
            if token.jwks_public_endpoint
            else FixedKeys(
                hmac_secret_key=token.hmac_secret_key,
                hmac_previous_secret_key=token.hmac_previous_secret_key,
                hmac_previous_secret_key_valid_until=token.hmac_previous_secret_key_valid_until,
                rsa_public_key=token.rsa_public_key,
                ecdsa_public_key=token.ecdsa_public_key,
            )
        )
        return TokenVerifier(keys, rules)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None


def _weak_secrets(place: str, token: options.Token) -> Iterator[str]:
    for name in ("hmac_secret_key", "hmac_previous_secret_key"):
        secret: str = getattr(token, name)
        if 0 < len(secret.encode()) < HMAC_KEY_MIN_BYTES:
            yield f"{place}.{name} is weak: take {HMAC_KEY_MIN_BYTES} random bytes or more"


def _redis_url(place: str, address: str, redis: options.Redis) -> str:
    if "://" not in address:
        address = f"redis://{address}"
    if address.startswith("tcp://"):
        address = f"redis://{address.removeprefix('tcp://')}"
    parts = urlsplit(address)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"{place}: has to begin with redis://, rediss:// or unix://")
    host = parts.netloc
    if (redis.user or redis.password) and "@" not in host:
        host = f"{quote(redis.user, safe='')}:{quote(redis.password, safe='')}@{host}"
    path = parts.path
    if redis.db and path in ("", "/"):
        path = f"/{redis.db}"
    scheme = "rediss" if redis.tls.enabled and parts.scheme == "redis" else parts.scheme
    return f"{scheme}://{host}{path}" + (f"?{parts.query}" if parts.query else "")


def _list(value: str | list[str]) -> list[str]:
    return [item for item in ([value] if isinstance(value, str) else value) if item]


def _explain(path: str, error: msgspec.ValidationError) -> str:
    problem, _, place = str(error).rpartition(" - at `$")
    option = place.rstrip("`").removeprefix(".")
    return f"{path}: {option}: {problem}" if problem else f"{path}: {error}"
