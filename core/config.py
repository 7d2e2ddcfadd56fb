"""Settings: one frozen Struct, read once at start from files and environment, checked as a whole.

Later wins: defaults, `$PINGHUB_HOME/embedded.toml` (written by `pinghub up`: addresses and
generated secrets of the embedded services), `pinghub.toml`, environment `PINGHUB_SECTION__KEY`, and
the aliases that platforms set (`DATABASE_URL`, `REDIS_URL`, `MQTT_URL`, …).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import fields

from core.config_sources import ALIASES, PREFIX, read_environment, read_toml
from core.errors import ConfigError

Secret = Annotated[str, Meta(extra={"secret": True})]
Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(gt=0)]
Natural = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the configuration file."""


class Server(Section, frozen=True, kw_only=True):
    """The hub's HTTP and websocket server."""

    host: str = "127.0.0.1"
    port: Port = 8000
    public_url: str = "http://127.0.0.1:8000"
    mode: Literal["production", "development"] = "production"
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose X-Forwarded-For names the client; from anybody else it is ignored."""
    max_body_bytes: Positive = 1_048_576
    drain_seconds: PositiveFloat = 5.0


class Log(Section, frozen=True, kw_only=True):
    """How the structured log is written."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    style: Literal["json", "console"] = "json"


class Metrics(Section, frozen=True, kw_only=True):
    """Where processes without HTTP serve GET /metrics on loopback; 0 is off.

    Workers of `serve --workers` take this port and the ones after it.
    """

    port: Port = 0


class Database(Section, frozen=True, kw_only=True):
    """One login per process role; `direct_url` bypasses a pooler for LISTEN and session locks.

    `replica_url`: a standby for reads that may be `replica_max_lag_seconds` old, without a login.
    `pool_max`, `system_pool_max`: connections of each `serve` process for requests and for sign-in;
    `worker_pool_max` of a worker. `pinghub doctor` adds them up (docs/deploy/postgresql.md).
    `slow_query_seconds`: statements that take so long are logged with their plan.
    """

    url: Secret = ""
    worker_url: Secret = ""
    system_url: Secret = ""
    owner_url: Secret = ""
    direct_url: Secret = ""
    superuser_url: Secret = ""
    replica_url: Secret = ""
    replica_max_lag_seconds: PositiveFloat = 10.0
    pool_max: Positive = 10
    system_pool_max: Positive = 4
    worker_pool_max: Positive = 10
    replica_pool_max: Positive = 4
    connect_timeout_seconds: PositiveFloat = 5.0
    statement_timeout_seconds: PositiveFloat = 15.0
    slow_query_seconds: PositiveFloat = 0.5


class Redis(Section, frozen=True, kw_only=True):
    """Fan-out, limits and the task queue."""

    url: Secret = ""
    key_prefix: str = "ping"
    call_deadline_seconds: PositiveFloat = 2.0


class LimitPolicy(Section, frozen=True, kw_only=True):
    """Changes of one rate limit, `[limits.policies.<name>]`; what is left out stays."""

    quota: Positive | None = None
    window_seconds: Positive | None = None
    burst: Positive | None = None
    pro: Positive | None = None
    enterprise: Positive | None = None
    without_redis: Literal["open", "closed"] | None = None


class Limits(Section, frozen=True, kw_only=True):
    """How often may be asked; docs/rest.md lists the policies and what may be changed.

    `policies`: changes of single policies, by name; in the environment a JSON object.
    """

    policies: dict[str, LimitPolicy] = field(default_factory=dict[str, LimitPolicy])


class Mqtt(Section, frozen=True, kw_only=True):
    """The MQTT broker; version, sharing and plugin are facts of the broker, never guessed.

    `ca_file`: PEM, whom to believe behind `mqtts://`; empty: whom the machine trusts.
    `certificate_file`, `key_file`: PEM, the hub's own certificate where the broker asks for one.
    `dynamic_security`: the broker is a mosquitto with that plugin, and gateways get their rights
    from us.
    """

    url: Secret = ""
    version: Literal["5", "3.1.1"] = "5"
    shared_subscription: bool = True
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    dynamic_security: bool = False


class LoginProvider(Section, frozen=True, kw_only=True):
    """One way to sign in, `[auth.providers.<name>]`; docs/auth.md says what each kind needs."""

    kind: Literal["oidc", "google", "apple", "supabase"] = "oidc"
    issuer: str = ""
    client_id: str = ""
    client_secret: Secret = ""
    native_client_ids: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = ("RS256", "ES256")
    endpoint_hosts: tuple[str, ...] = ()
    """Hosts besides the issuer's that its discovery document may send the hub to."""
    apple_team_id: str = ""
    apple_key_id: str = ""
    apple_private_key: Secret = ""
    jwt_secret: Secret = ""
    """Supabase: the shared secret of projects whose tokens are not signed by a key pair."""
    trusts_email: bool = False
    """Supabase: that the project confirms e-mail addresses before anybody is signed in."""


class Auth(Section, frozen=True, kw_only=True):
    """Sign-in: token lives and the Ed25519 keys that sign access tokens.

    `signing_keys`: PEM file with PKCS#8 private keys; `pinghub keys signing rotate` changes it.
    `redirect_uris`: where sign-ins may end, exactly as apps write them.
    `providers`: ways to sign in, by name (docs/auth.md); in the environment a JSON object.
    """

    issuer: str = "pinghub"
    signing_keys: str = ""
    access_token_seconds: Annotated[int, Meta(gt=0, le=600)] = 600
    refresh_token_seconds: Positive = 30 * 24 * 3600
    redirect_uris: tuple[str, ...] = ()
    providers: dict[str, LoginProvider] = field(default_factory=dict[str, LoginProvider])


class Passkeys(Section, frozen=True, kw_only=True):
    """Sign-in at the hub itself, without a provider (docs/auth.md).

    `rp_id`: the domain that passkeys belong to, for good; empty: the host of `server.public_url`.
    `origins`: pages besides the hub's own and `server.allowed_origins` that may use them.
    `sign_up`: whether anybody may make an account; unset: where no provider is configured.
    `apple_apps`: apps that may use them, `<team id>.<bundle id>`.
    `android_apps`: the same, `<package>/<SHA-256 of the signing certificate, AB:CD:…>`.
    """

    rp_id: str = ""
    origins: tuple[str, ...] = ()
    sign_up: bool | None = None
    apple_apps: tuple[str, ...] = ()
    android_apps: tuple[str, ...] = ()


class Keys(Section, frozen=True, kw_only=True):
    """Keys at rest. Key rings are `1:<base64 of 32 bytes>,2:…`; the highest number wraps.

    `field_keys`: key-encryption keys; they wrap the data keys that seal fields.
    `kms_url`: a Vault or OpenBao whose transit key `kms_key` wraps in their place. Its token is
    `kms_token`, or in `kms_token_file`, read at each call; `kms_ca_file`: PEM, whom to believe.
    `refresh_seconds`: how often processes look for new data keys; `cache_seconds`: how long an
    opened one is used while the key-encryption key is away. Both the same in all processes.
    """

    field_keys: Secret = ""
    index_key: Secret = ""
    sun_master_key: Secret = ""
    kms_url: str = ""
    kms_key: str = "pinghub"
    kms_token: Secret = ""
    kms_token_file: str = ""
    kms_ca_file: str = ""
    refresh_seconds: PositiveFloat = 20.0
    cache_seconds: PositiveFloat = 3600.0


class Realtime(Section, frozen=True, kw_only=True):
    """Limits and clocks of realtime connections (the defaults of Centrifugo).

    `api_keys`: what opens POST /api to application servers, separated by commas; empty: nobody.
    `forwarded_headers`: names of the headers that the application is shown when a client connects.
    `max_commands_per_second`, `max_connections`, `max_connections_per_user`: 0 limits nothing.
    `config_path`: a Centrifugo configuration whose namespaces and keys are added to our own.
    """

    api_keys: Secret = ""
    config_path: str = ""
    ping_interval_seconds: PositiveFloat = 25.0
    pong_timeout_seconds: PositiveFloat = 8.0
    stale_close_seconds: PositiveFloat = 15.0
    expired_close_delay_seconds: PositiveFloat = 25.0
    position_check_seconds: PositiveFloat = 40.0
    max_message_bytes: Positive = 65_536
    buffer_max_bytes: Positive = 1_048_576
    expired_subscription_close_delay_seconds: PositiveFloat = 25.0
    command_timeout_seconds: PositiveFloat = 10.0
    max_commands_per_second: Natural = 500
    commands_burst: Positive = 2_000
    max_errors_in_row: Positive = 256
    max_connections: Natural = 0
    max_connections_per_user: Natural = 0
    forwarded_headers: tuple[str, ...] = ()
    max_channels_per_client: Positive = 128
    max_channel_length: Positive = 255
    recovery_max_publications: Positive = 300
    websocket_deflate: bool = False


class Pki(Section, frozen=True, kw_only=True):
    """The hub's own certificate authority, for gateways; `pinghub pki init` makes one.

    `ca_key`: PEM; without it gateways cannot be claimed, all else works.
    `ca_certificate`: PEM; the first belongs to `ca_key`, all are trusted by gateways.
    `gateway_mqtt_url`: where claimed gateways find the MQTT broker, `mqtts://host:8883`.
    `crl_path`: where the worker keeps the list of revoked certificates; empty: nowhere.
    """

    ca_key: Secret = ""
    ca_certificate: str = ""
    certificate_days: Annotated[int, Meta(ge=1, le=825)] = 90
    gateway_mqtt_url: str = ""
    crl_path: str = ""


class Ingest(Section, frozen=True, kw_only=True):
    """The process that carries taps from MQTT into PostgreSQL."""

    batch_max_taps: Positive = 256
    batch_wait_seconds: PositiveFloat = 0.005
    ring_cache_seconds: PositiveFloat = 30.0


class Relay(Section, frozen=True, kw_only=True):
    """The process that carries events from the outbox to Redis and to consumer tasks."""

    shards: Positive = 16
    batch_max_events: Positive = 512
    poll_seconds: PositiveFloat = 1.0
    sweep_seconds: PositiveFloat = 5.0
    stale_task_seconds: PositiveFloat = 30.0


class Gateway(Section, frozen=True, kw_only=True):
    """The edge daemon. `ble_backend`: "auto" for the machine's Bluetooth, "bumble:<transport>".

    `adapters` takes the place of `ble_backend` where there are several: also "bluez:hci1".
    `identity_path`: the folder that `pinghub gateway claim` fills; with it `id` and `mqtt_url` are
    not needed. Empty: `gateway-identity` in the home.
    `readers`: NFC readers, "pcsc", "pcsc:<part of its name>", "serial:/dev/ttyUSB0" (PN532) or
    "virtual:<socket>".
    """

    id: str = ""
    identity_path: str = ""
    mqtt_url: Secret = ""
    mqtt_version: Literal["5", "3.1.1"] = "5"
    ble_backend: str = "auto"
    adapters: tuple[str, ...] = ()
    connections_per_adapter: Annotated[int, Meta(ge=1, le=256)] = 32
    readers: tuple[str, ...] = ()
    spool_path: str = ""
    spool_max_rows: Positive = 1_000_000
    spool_max_bytes: Annotated[int, Meta(ge=1_048_576)] = 1_073_741_824
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


class Development(Section, frozen=True, kw_only=True):
    """Only read in development mode: the control address of the virtual rings."""

    rings_address: str = ""


class Console(Section, frozen=True, kw_only=True):
    """GET /console. `sdk_path`: the JS SDK's browser build; empty: node_modules of the project."""

    sdk_path: str = ""


class Settings(Section, frozen=True, kw_only=True):
    """Everything a process may be told."""

    server: Server = field(default_factory=Server)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    database: Database = field(default_factory=Database)
    redis: Redis = field(default_factory=Redis)
    limits: Limits = field(default_factory=Limits)
    mqtt: Mqtt = field(default_factory=Mqtt)
    auth: Auth = field(default_factory=Auth)
    passkeys: Passkeys = field(default_factory=Passkeys)
    keys: Keys = field(default_factory=Keys)
    pki: Pki = field(default_factory=Pki)
    realtime: Realtime = field(default_factory=Realtime)
    ingest: Ingest = field(default_factory=Ingest)
    relay: Relay = field(default_factory=Relay)
    gateway: Gateway = field(default_factory=Gateway)
    development: Development = field(default_factory=Development)
    console: Console = field(default_factory=Console)


_POSTGRES: Final = ("postgresql", "postgres")
_SCHEMES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("server", "public_url"): ("http", "https"),
    **{("database", item.name): _POSTGRES for item in fields(Database) if "url" in item.name},
    ("redis", "url"): ("redis", "rediss", "unix"),
    ("mqtt", "url"): ("mqtt", "mqtts"),
    ("gateway", "mqtt_url"): ("mqtt", "mqtts"),
    ("pki", "gateway_mqtt_url"): ("mqtts",),
    ("keys", "kms_url"): ("http", "https"),
}


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds local state: `PINGHUB_HOME`, else `./.pinghub`."""
    return Path(environ.get("PINGHUB_HOME", ".pinghub")).absolute()


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings, or raise ConfigError naming the setting and the remedy."""
    merged: dict[str, dict[str, Any]] = {}
    config_file = Path(environ.get("PINGHUB_CONFIG", "pinghub.toml"))
    for path in (home(environ) / "embedded.toml", config_file):
        for section, values in read_toml(path).items():
            merged.setdefault(section, {}).update(values)
    for (section, key), value in read_environment(environ).items():
        merged.setdefault(section, {})[key] = value
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(error)) from None
    _check_addresses(settings)
    return settings


def require(value: str, setting: str) -> str:
    """Return a setting that a process cannot do without, or raise ConfigError."""
    if value:
        return value
    section, key = setting.split(".")
    names = [f"{PREFIX}{section.upper()}__{key.upper()}"]
    names += [alias for alias, target in ALIASES.items() if target == (section, key)]
    raise ConfigError(f"{setting} is not set: start `pinghub up`, or set {' or '.join(names)}")


def _check_addresses(settings: Settings) -> None:
    for (section, key), schemes in _SCHEMES.items():
        address: str = getattr(getattr(settings, section), key)
        if address and address.partition("://")[0] not in schemes:
            # The value may hold a password.
            begins = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ConfigError(f"setting {section}.{key}: must begin with {begins}")


def _explain(error: msgspec.ValidationError) -> str:
    problem, separator, path = str(error).rpartition(" - at `$.")
    if not separator:
        return f"settings: {error}"
    return f"setting {path.rstrip('`')}: {problem}"
