"""What handlers reach for: the process's resources, the actor, and transactions."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, Final, Protocol, cast

import msgspec
from litestar.connection import ASGIConnection
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core import config, crypto
from core.actor import ANONYMOUS, SYSTEM, Actor
from core.authority import Authority
from core.db import Pool, Tx, begin
from hub.http.api_keys import ApiKeys
from hub.http.limits import Limiter, policies
from hub.http.one_time import OneTime
from hub.http.origins import RelyingParty, relying_party
from hub.http.tiers import Tiers
from hub.http.tokens import Claims, TokenKeys, load_keys
from hub.providers.authority import open_authority
from hub.providers.gateway_rpc import GatewayRpc
from hub.providers.key_wrapping import open_wrapping
from hub.providers.keys import read_cipher, read_index_key, read_sun_master_key
from hub.providers.mqtt_sender import MqttSender
from hub.providers.oidc import Provider, open_providers

Connection = ASGIConnection[Any, Any, Any, Any]
ForeignBearer = Callable[[str, Actor], Awaitable[Claims]]
"""Says whose an access token of another issuer is, or raises auth.token_invalid or _expired."""

WRITES: Final[dict[str, Any]] = {"writes": True}
"""`opt` of a GET route whose opening is the deed itself, as of the link in a ring's tag."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
READINESS_CONNECTIONS: Final = 2
"""Connections to PostgreSQL that answer /readyz, beside those of the settings."""
_READINESS_SECONDS: Final = 1.0


class Resources(msgspec.Struct, kw_only=True):
    """Everything that is opened once per process."""

    settings: config.Settings
    api: Pool
    system: Pool
    readiness: Pool
    redis: Redis
    limiter: Limiter
    tiers: Tiers
    api_keys: ApiKeys
    token_keys: TokenKeys
    cipher: crypto.FieldCipher
    index_key: bytes
    authority: Authority | None
    gateway_rpc: GatewayRpc
    login_providers: dict[str, Provider]
    one_time: OneTime
    relying_party: RelyingParty | None
    foreign_bearer: ForeignBearer | None = None
    is_draining: bool = False


class SignIns(Protocol):
    """Which sign-in sessions have ended, as this process knows."""

    async def admit(self, session_id: str) -> None:
        """Return when a session's access token may be used, or raise."""
        ...

    def end(self, session_id: str) -> None:
        """Refuse a session's tokens from now on; whoever ended it has committed."""
        ...


def require_settings(settings: config.Settings) -> None:
    """Raise ConfigError now for what would be missed inside a starting server."""
    config.require(settings.database.url, "database.url")
    config.require(settings.database.system_url, "database.system_url")
    config.require(settings.redis.url, "redis.url")
    load_keys(settings.auth)
    open_wrapping(settings.keys, read_cipher(settings).ring)
    read_index_key(settings)
    read_sun_master_key(settings)
    policies(settings.limits)
    open_authority(settings.pki)
    open_providers(settings.auth)
    relying_party(settings)


@asynccontextmanager
async def open_resources(settings: config.Settings) -> AsyncGenerator[Resources]:
    """Open what requests need; PostgreSQL and Redis may still be away."""
    require_settings(settings)
    async with AsyncExitStack() as stack:

        async def pool(url: str, max_size: int, connect_seconds: float) -> Pool:
            opened = await Pool.open(
                url,
                max_size=max_size,
                connect_timeout_seconds=connect_seconds,
                statement_timeout_seconds=settings.database.statement_timeout_seconds,
                slow_query_seconds=settings.database.slow_query_seconds,
            )
            stack.push_async_callback(opened.close)
            return opened

        database, redis_url = settings.database, settings.redis.url
        redis = Redis.from_url(
            redis_url,
            socket_timeout=_READINESS_SECONDS,
            socket_connect_timeout=_READINESS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        stack.push_async_callback(redis.aclose)
        limiter = Limiter(redis_url, settings.redis.key_prefix, policies(settings.limits))
        stack.push_async_callback(limiter.close)
        sender = MqttSender(settings.mqtt)
        stack.push_async_callback(sender.close)
        login_providers = open_providers(settings.auth)
        for provider in login_providers.values():
            stack.push_async_callback(provider.close)
        api = await pool(database.url, database.pool_max, database.connect_timeout_seconds)
        system = await pool(
            database.system_url, database.system_pool_max, database.connect_timeout_seconds
        )
        tiers = Tiers(system)
        await stack.enter_async_context(tiers.kept())
        api_keys = ApiKeys(api, system, limiter)
        stack.push_async_callback(api_keys.close)
        yield Resources(
            settings=settings,
            api=api,
            system=system,
            # A pool of its own: a busy hub must not look like a hub without a database.
            readiness=await pool(database.url, READINESS_CONNECTIONS, _READINESS_SECONDS),
            redis=redis,
            limiter=limiter,
            tiers=tiers,
            api_keys=api_keys,
            token_keys=load_keys(settings.auth),
            cipher=read_cipher(settings),
            index_key=read_index_key(settings),
            login_providers=login_providers,
            one_time=OneTime(redis, settings.redis.key_prefix, read_index_key(settings)),
            relying_party=relying_party(settings),
            gateway_rpc=GatewayRpc(sender),
            authority=open_authority(settings.pki),
        )


def resources(connection: Connection) -> Resources:
    """Return what this process has opened."""
    return cast("Resources", connection.app.state.resources)


def keys_of(connection: Connection) -> crypto.Keys:
    """Return what seals fields of people in this process, and finds them."""
    house = resources(connection)
    return crypto.Keys(house.cipher, house.index_key)


def sign_ins(connection: Connection) -> SignIns:
    """Return what this process knows of ended sign-in sessions."""
    return cast("SignIns", connection.app.state.sign_ins)


def actor(connection: Connection) -> Actor:
    """Return who acts, as the guard found out."""
    return cast("Actor", connection.scope["state"].get("actor", ANONYMOUS))


def reading(connection: Connection) -> AbstractAsyncContextManager[Tx]:
    """Begin a READ ONLY transaction of the signed-in user."""
    return acting_as(connection, actor(connection), read_only=True)


def writing(
    connection: Connection, *, serializable: bool = False
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction of the signed-in user; it commits before the answer is sent."""
    return acting_as(connection, actor(connection), serializable=serializable)


def acting_as(
    connection: Connection,
    who: Actor,
    *,
    over_all: bool = False,
    read_only: bool = False,
    serializable: bool = False,
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction of an actor, `over_all` users' rows or under the policies.

    Under GET, HEAD and OPTIONS it is READ ONLY whatever the handler asks for, unless the route's
    `opt` has WRITES: a link that is opened by a browser, an image or a crawler changes nothing.
    """
    house = resources(connection)
    pool = house.system if over_all else house.api
    read_only = read_only or _only_reads(connection)
    return begin(pool, who, read_only=read_only, serializable=serializable)


def as_system(
    connection: Connection, *, read_only: bool = False
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction that sees all users; for what happens before a user is known."""
    current = actor(connection)
    system = msgspec.structs.replace(
        SYSTEM,
        request_id=current.request_id,
        ip=current.ip,
        user_agent=current.user_agent,
        endpoint=current.endpoint,
    )
    return acting_as(connection, system, over_all=True, read_only=read_only)


def _only_reads(connection: Connection) -> bool:
    if connection.scope.get("method") not in _SAFE_METHODS:
        return False
    return not connection.route_handler.opt.get("writes")
