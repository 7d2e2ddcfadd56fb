"""The options of a Centrifugo v6 configuration that have a meaning here, with its defaults.

Everything in these Structs is obeyed or refused. UNSUPPORTED are options that it knows and we do
not; all others are unknown to both.
"""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

_UNIT_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION: Final = re.compile(rf"\+?({_PART.pattern})+")

Count = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
# What begins `namespace:` in channel names.
Name = Annotated[str, Meta(pattern=r"^[-a-zA-Z0-9_.]{2,}$")]


class Duration:
    """A length of time, in the notation of Go: `25s`, `1m30s`, `300ms`; numbers are nanoseconds."""

    def __init__(self, text: str) -> None:
        if text == "0":
            self.seconds = 0.0
            return
        if not _DURATION.fullmatch(text):
            raise ValueError(f"{text!r} is no duration: write 25s, 300ms or 1h30m")
        parts = _PART.findall(text)
        self.seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)

    @property
    def whole_seconds(self) -> int:
        """The length for a clock of seconds; raises ValueError for parts of one."""
        if self.seconds != int(self.seconds):
            raise ValueError("has to be whole seconds")
        return int(self.seconds)


def decode(kind: type, value: Any) -> Any:  # noqa: ANN401  # msgspec's hook
    """Decode a Duration for msgspec."""
    if kind is not Duration:
        raise NotImplementedError
    if isinstance(value, str):
        return Duration(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Duration(f"{value}ns")
    raise ValueError("has to be a duration such as 25s")


def _duration(text: str) -> Any:  # noqa: ANN401  # a field's default
    return field(default_factory=lambda: Duration(text))


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One object of the file."""


class Tls(Options, frozen=True, kw_only=True):
    enabled: bool = False


class HttpServer(Options, frozen=True, kw_only=True):
    address: str = ""
    port: Port = 8000
    internal_port: int | str = ""
    tls: Tls = Tls()
    tls_autocert: Tls = Tls()


class Log(Options, frozen=True, kw_only=True):
    level: Literal["none", "trace", "debug", "info", "warn", "error", "fatal"] = "info"


class Redis(Options, frozen=True, kw_only=True):
    address: str | list[str] = "redis://127.0.0.1:6379"
    prefix: str = "centrifugo"
    db: Count = 0
    user: str = ""
    password: str = ""
    cluster_address: str | list[str] = ""
    sentinel_address: str | list[str] = ""
    tls: Tls = Tls()
    io_timeout: Duration = _duration("4s")


class Engine(Options, frozen=True, kw_only=True):
    type: Literal["memory", "redis"] = "memory"
    redis: Redis = Redis()


class Broker(Options, frozen=True, kw_only=True):
    enabled: bool = False
    type: Literal["memory", "redis"] = "memory"
    redis: Redis = Redis()


class Token(Options, frozen=True, kw_only=True):
    hmac_secret_key: str = ""
    hmac_previous_secret_key: str = ""
    hmac_previous_secret_key_valid_until: Count = 0
    rsa_public_key: str = ""
    ecdsa_public_key: str = ""
    jwks_public_endpoint: str = ""
    audience: str = ""
    audience_regex: str = ""
    issuer: str = ""
    issuer_regex: str = ""
    user_id_claim: str = ""


class SubscriptionToken(Token, frozen=True, kw_only=True):
    enabled: bool = False


class PersonalChannel(Options, frozen=True, kw_only=True):
    enabled: bool = False
    personal_channel_namespace: str = ""


class Client(Options, frozen=True, kw_only=True):
    allowed_origins: str | list[str] = ""
    token: Token = Token()
    subscription_token: SubscriptionToken = SubscriptionToken()
    allow_anonymous_connect_without_token: bool = False
    disallow_anonymous_connection_tokens: bool = False
    insecure: bool = False
    subscribe_to_user_personal_channel: PersonalChannel = PersonalChannel()
    ping_interval: Duration = _duration("25s")
    pong_timeout: Duration = _duration("8s")
    stale_close_delay: Duration = _duration("10s")
    expired_close_delay: Duration = _duration("25s")
    expired_sub_close_delay: Duration = _duration("25s")
    connection_limit: Count = 0
    user_connection_limit: Count = 0
    channel_limit: Count = 128
    queue_max_size: Count = 1_048_576
    channel_position_check_delay: Duration = _duration("40s")
    recovery_max_publication_limit: Count = 300


class Channels(Options, frozen=True, kw_only=True):
    presence: bool = False
    join_leave: bool = False
    force_push_join_leave: bool = False
    history_size: Count = 0
    history_ttl: Duration = _duration("0s")
    history_meta_ttl: Duration = _duration("0s")
    force_positioning: bool = False
    allow_positioning: bool = False
    force_recovery: bool = False
    allow_recovery: bool = False
    force_recovery_mode: Literal["", "stream", "cache"] = ""
    auto_cache_recover: bool = False
    allowed_delta_types: list[Literal["fossil"]] = []
    delta_publish: bool = False
    allow_tags_filter: bool = False
    allow_subscribe_for_client: bool = False
    allow_subscribe_for_anonymous: bool = False
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
    publication_data_format: Literal["", "json", "json_object", "binary"] = ""


class NamedChannels(Channels, frozen=True, kw_only=True):
    name: Name


class Channel(Options, frozen=True, kw_only=True):
    without_namespace: Channels = Channels()
    namespaces: list[NamedChannels] = []
    history_meta_ttl: Duration = _duration("720h")
    publication_data_format: Literal["", "json", "json_object", "binary"] = ""
    max_length: Annotated[int, Meta(gt=0)] = 255
    private_prefix: str = "$"
    namespace_boundary: str = ":"
    user_boundary: str = "#"
    user_separator: str = ","


class HttpApi(Options, frozen=True, kw_only=True):
    disabled: bool = False
    handler_prefix: str = "/api"
    key: str = ""
    insecure: bool = False


class WebSocket(Options, frozen=True, kw_only=True):
    disabled: bool = False
    handler_prefix: str = "/connection/websocket"
    compression: bool = False
    message_size_limit: Annotated[int, Meta(gt=0)] = 65_536


class Sse(Options, frozen=True, kw_only=True):
    enabled: bool = False
    handler_prefix: str = "/connection/sse"


class HttpStream(Options, frozen=True, kw_only=True):
    enabled: bool = False
    handler_prefix: str = "/connection/http_stream"


class Emulation(Options, frozen=True, kw_only=True):
    handler_prefix: str = "/emulation"


class Prometheus(Options, frozen=True, kw_only=True):
    enabled: bool = False
    handler_prefix: str = "/metrics"


class Health(Options, frozen=True, kw_only=True):
    enabled: bool = False
    handler_prefix: str = "/health"


class Shutdown(Options, frozen=True, kw_only=True):
    timeout: Duration = _duration("30s")


class File(Options, frozen=True, kw_only=True):
    http_server: HttpServer = HttpServer()
    log: Log = Log()
    engine: Engine = Engine()
    broker: Broker = Broker()
    client: Client = Client()
    channel: Channel = Channel()
    http_api: HttpApi = HttpApi()
    websocket: WebSocket = WebSocket()
    sse: Sse = Sse()
    http_stream: HttpStream = HttpStream()
    emulation: Emulation = Emulation()
    prometheus: Prometheus = Prometheus()
    health: Health = Health()
    shutdown: Shutdown = Shutdown()


_ANOTHER_SERVER: Final = "tunes parts that are built otherwise here"
_PROXY: Final = "this server asks no backend; what the proxy would have allowed is refused"
_UNIDIRECTIONAL: Final = "unidirectional transports are not offered"
_OTHER_SUBSCRIPTIONS: Final = "map and shared poll subscriptions are not offered"
_TOKENS: Final = "tokens are always verified"
_NO_SECOND_PORT: Final = "there is one port"

OLDER: Final = frozenset(
    {
        "allow_anonymous_connect_without_token",
        "allowed_origins",
        "api_key",
        "client_insecure",
        "namespaces",
        "redis_address",
        "token_hmac_secret_key",
        "token_jwks_public_endpoint",
        "token_rsa_public_key",
    }
)
"""Options that version 5 had at the top and version 6 has under other names."""
OLDER_HINT: Final = (
    "this looks like a configuration of version 5 or older: version 6 has other names,"
    " such as client.token.hmac_secret_key and channel.namespaces"
)

UNSUPPORTED: Final[dict[str, str]] = {
    "admin": "there is no admin interface",
    "channel.namespaces.map": _OTHER_SUBSCRIPTIONS,
    "channel.namespaces.map_clients_presence_channel_prefix": _OTHER_SUBSCRIPTIONS,
    "channel.namespaces.map_users_presence_channel_prefix": _OTHER_SUBSCRIPTIONS,
    "channel.namespaces.publish_proxy_enabled": _PROXY,
    "channel.namespaces.publish_proxy_name": _PROXY,
    "channel.namespaces.shared_poll": _OTHER_SUBSCRIPTIONS,
    "channel.namespaces.sub_refresh_proxy_enabled": _PROXY,
    "channel.namespaces.sub_refresh_proxy_name": _PROXY,
    "channel.namespaces.subscribe_proxy_enabled": _PROXY,
    "channel.namespaces.subscribe_proxy_name": _PROXY,
    "channel.namespaces.subscribe_stream_proxy_bidirectional": _PROXY,
    "channel.namespaces.subscribe_stream_proxy_enabled": _PROXY,
    "channel.namespaces.subscribe_stream_proxy_name": _PROXY,
    "channel.namespaces.subscription_type": f"{_OTHER_SUBSCRIPTIONS}; its channels are unknown",
    "channel.proxy": _PROXY,
    "client.channel_position_max_time_lag": _ANOTHER_SERVER,
    "client.concurrency": "the commands of a client are carried out one after the other",
    "client.connect_code_to_unidirectional_disconnect": _UNIDIRECTIONAL,
    "client.connect_include_server_time": "connect replies do not say the time",
    "client.connection_rate_limit": "limit the rate in front of this server",
    "client.history_max_publication_limit": "history has the limit of recovery",
    "client.insecure_skip_token_signature_verify": _TOKENS,
    "client.presence_update_interval": "presence lives 60 s and is renewed in time",
    "client.proxy": _PROXY,
    "client.subscribe_to_user_personal_channel.single_connection": "users may connect twice",
    "client.subscription_token.insecure_skip_jwks_endpoint_safety_check": _TOKENS,
    "client.token.insecure_skip_jwks_endpoint_safety_check": _TOKENS,
    "client.user_id_http_header": "only tokens say who connects",
    "consumers": "publish through the server API",
    "controller": "processes talk through the broker",
    "debug": "there are no debug endpoints",
    "emulation.max_request_body_size": "websocket.message_size_limit is for every transport",
    "enable_unreleased_features": "there are none",
    "graphite": "metrics are for Prometheus",
    "grpc_api": "the server API speaks HTTP",
    "http_api.error_mode": "callers choose it by X-Centrifugo-Error-Mode",
    "http_api.external": _NO_SECOND_PORT,
    "http_server.h2c_external": "put a proxy that speaks HTTP/2 in front",
    "http_server.http3": "put a proxy that speaks HTTP/3 in front",
    "http_server.internal_address": _NO_SECOND_PORT,
    "http_server.internal_tls": _NO_SECOND_PORT,
    "http_server.tls_external": _NO_SECOND_PORT,
    "http_stream.max_request_body_size": "websocket.message_size_limit is for every transport",
    "init": "there is no init endpoint",
    "log.file": "the log goes to standard error",
    "map_broker": _OTHER_SUBSCRIPTIONS,
    "node": "processes name themselves",
    "opentelemetry": "there is no tracing",
    "pid_file": "ask your process manager",
    "presence_manager": "presence is kept where the broker is",
    "proxies": _PROXY,
    "rpc": "rpc needs handlers in this server, and this one has none",
    "shared_poll": _OTHER_SUBSCRIPTIONS,
    "sse.max_request_body_size": "websocket.message_size_limit is for every transport",
    "swagger": "there is no Swagger",
    "uni_grpc": _UNIDIRECTIONAL,
    "uni_http_stream": _UNIDIRECTIONAL,
    "uni_sse": _UNIDIRECTIONAL,
    "uni_websocket": _UNIDIRECTIONAL,
    "usage_stats": "nothing is sent to anybody",
    "websocket.compression_level": _ANOTHER_SERVER,
    "websocket.compression_min_size": _ANOTHER_SERVER,
    "websocket.decompressed_message_size_limit": "it is websocket.message_size_limit",
    "websocket.read_buffer_size": _ANOTHER_SERVER,
    "websocket.use_write_buffer_pool": _ANOTHER_SERVER,
    "websocket.write_buffer_size": _ANOTHER_SERVER,
    "websocket.write_timeout": "a slow client is judged by client.queue_max_size",
    "webtransport": "WebTransport is not offered",
}
"""Reasons by path. `channel.namespaces` stands for each of them and for `without_namespace`."""

for _kind in ("engine", "broker"):
    for _option in (
        "client_name",
        "connect_timeout",
        "force_resp2",
        "history_use_lists",
        "presence_hash_field_ttl",
        "presence_ttl",
        "presence_user_mapping",
        "replica_client",
    ):
        UNSUPPORTED[f"{_kind}.redis.{_option}"] = _ANOTHER_SERVER
    for _option in (
        "cert_pem",
        "client_ca_pem",
        "insecure_skip_verify",
        "key_pem",
        "server_ca_pem",
        "server_name",
    ):
        UNSUPPORTED[f"{_kind}.redis.tls.{_option}"] = "certificates are checked as usual"
UNSUPPORTED["broker.nats"] = UNSUPPORTED["broker.postgres"] = "brokers are memory and redis"
