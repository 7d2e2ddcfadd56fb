"""The realtime hub of a serving process, joined to its tokens, its database and its Redis."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from litestar import Litestar, asgi
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Raw

from core import api_key, ids
from core.actor import ANONYMOUS
from core.errors import DomainError
from hub.http.auth import FOREIGN
from hub.http.deps import ForeignBearer, Resources
from hub.http.origins import own_origins
from hub.http.tokens import Claims, TokenKeys
from hub.realtime import codes
from hub.realtime.application import (
    ClientError,
    ConnectionRequest,
    MessageHandler,
    RpcHandler,
)
from hub.realtime.cluster.control import Control, control_redis
from hub.realtime.cluster.revocations import Revocations
from hub.realtime.endpoints import API, DEFAULT, TAIL, endpoints
from hub.realtime.hub import Hub
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.presence import RedisPresence
from hub.realtime.server_api.endpoint import NAMES
from hub.realtime.tokens.claims import (
    ConnectClaims,
    ConnectionDeniedError,
    SubscribeClaims,
    TokenExpiredError,
    TokenInvalidError,
)
from hub.realtime.tokens.signatures import KeysUnavailableError
from hub.wiring.bearers import foreign_bearer
from hub.wiring.channels import authorizer
from hub.wiring.configured import Configured
from hub.wiring.diagnose import diagnose_procedure
from hub.wiring.revocations import RevocationGuard
from hub.wiring.rpc import rpc_handlers
from hub.wiring.signing_keys import following

_REFUSALS: Final[dict[str, type[Exception]]] = {
    "auth.token_invalid": TokenInvalidError,
    "auth.token_expired": TokenExpiredError,
}
_CONNECTIONS: Final = frozenset(
    {DEFAULT.websocket, DEFAULT.http_stream, DEFAULT.sse, DEFAULT.emulation}
)


def connections_first(app: Litestar, inner: ASGIApp) -> ASGIApp:
    """Return the application that hands realtime connections to the hub, all else to `inner`.

    They need nothing of the framework, and it would answer preflights and bodies by REST's rules.
    """

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in _CONNECTIONS:
            await inner(scope, receive, send)
            return
        scope["path_template"] = scope["path"]
        await app.state.endpoints(scope, receive, send)

    return route


@asgi(
    [API, API + TAIL, *(f"{API}/{name}" for name in NAMES)],
    opt=FOREIGN,
    copy_scope=False,
)
async def server_api(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a call of an application server to the hub that the application has started."""
    await scope["litestar_app"].state.endpoints(scope, receive, send)


@asynccontextmanager
async def open_realtime(app: Litestar, house: Resources, rules: Configured) -> AsyncGenerator[None]:
    """Start the application's hub; what is still connected at the end is closed at once."""
    settings = house.settings
    house.foreign_bearer = foreign_bearer(house)
    broker, revocations = RedisBroker(settings.redis), Revocations()
    guard = RevocationGuard(house.system, revocations)
    hub = Hub(
        settings.realtime,
        broker,
        rules.namespaces,
        ProductApplication(
            token_verifier(house.token_keys, house.foreign_bearer),
            authorizer(house.api),
            rpc_handlers(house),
            guard,
            rules,
        ),
        presence=RedisPresence(broker.commands, settings.redis.key_prefix),
        control=Control(RedisBroker(control_redis(settings.redis)), str(ids.new_id())),
        grammar=rules.grammar,
        revocations=revocations,
        on_orders_lost=guard.doubt,
        version=version("pinghub"),
    )
    hub.procedures["realtime.diagnose"] = diagnose_procedure(hub)
    await hub.start()
    guard.start(hub.end_sign_in)
    app.state.sign_ins = guard
    app.state.realtime = hub
    app.state.endpoints = endpoints(
        hub,
        allowed_origins=own_origins(settings),
        api_keys=rules.api_keys,
        api_body_max_bytes=settings.server.max_body_bytes,
    )
    try:
        async with following(house.token_keys, settings.auth):
            yield
    finally:
        await guard.close()
        # A drained hub is closed already.
        if not hub.draining:
            await hub.close()


class ProductApplication:
    """What the product decides for its sockets."""

    def __init__(
        self,
        verify: Callable[[str], Awaitable[ConnectClaims]],
        authorize: Callable[[ConnectClaims, str], Awaitable[bool]],
        rpc: Mapping[str, RpcHandler],
        guard: RevocationGuard,
        rules: Configured,
    ) -> None:
        self.rpc = {method: _for_sessions(handler) for method, handler in rpc.items()}
        self.on_message: MessageHandler | None = None
        self._verify = verify
        self._authorize = authorize
        self._guard = guard
        self._rules = rules

    async def verify_connection(self, token: str, request: ConnectionRequest) -> ConnectClaims:
        """Take the access token of REST while its session lives, else a configured token."""
        del request
        if token.startswith(api_key.MARK):
            # Whether it is a live one is not told: keys are for backends, sockets for clients.
            raise ConnectionDeniedError
        try:
            claims = await self._verify(token)
        except TokenInvalidError:
            if self._rules.connections is None or not token:
                raise
            return await self._rules.connections.connect(token)
        await self._guard.check(claims.session_id)
        return claims

    async def verify_subscription(self, token: str) -> SubscribeClaims:
        """Take a configured token: the product issues none for single channels."""
        if self._rules.subscriptions is None:
            raise TokenInvalidError
        return await self._rules.subscriptions.subscribe(token)

    async def authorize(self, claims: ConnectClaims, channel: str) -> bool:
        """Ask the policies of the database."""
        return await self._authorize(claims, channel)


def _for_sessions(handler: RpcHandler) -> RpcHandler:
    """Close a procedure to users of configured tokens: they are signed in nowhere."""

    async def handle(claims: ConnectClaims, data: Raw) -> bytes:
        if not claims.session_id:
            raise ClientError(codes.PERMISSION_DENIED)
        return await handler(claims, data)

    return handle


def token_verifier(
    keys: TokenKeys, foreign: ForeignBearer | None = None
) -> Callable[[str], Awaitable[ConnectClaims]]:
    """Return the check of a connection's token: what REST takes as an access token."""

    async def verify(token: str) -> ConnectClaims:
        try:
            claims = await find_claims(token)
        except DomainError as refusal:
            raise _REFUSALS.get(refusal.code, KeysUnavailableError) from None
        return ConnectClaims(
            user=str(claims.sub),
            expires_at=claims.exp,
            session_id=str(claims.sid),
            role=claims.role,
        )

    async def find_claims(token: str) -> Claims:
        try:
            return keys.verify(token)
        except DomainError as refusal:
            if refusal.code != "auth.token_invalid" or foreign is None:
                raise
        return await foreign(token, ANONYMOUS)

    return verify
