"""Admission to a handler: who acts, whether they may do this, and whether again so soon.

Every route is closed unless its `opt` says otherwise: PUBLIC needs no token, UNLIMITED is for
probes; RECENT asks for a sign-in of a moment ago; `page` only tells the OpenAPI document that
browsers get pages. API keys open what hub/wiring/scopes.py says and nothing else. The guard runs
before the body is read.
"""

import ipaddress
import re
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

import msgspec
from litestar.handlers import BaseRouteHandler

from core import api_key, log
from core.actor import ANONYMOUS, Actor
from core.errors import DomainError
from core.ids import UserId
from hub.http import limits, recency, scopes, strict_query
from hub.http.api_keys import GUESSES, KnownKey, refused
from hub.http.deps import Connection, actor, resources, sign_ins
from hub.http.origins import own_origins
from hub.http.tokens import Claims

PUBLIC: Final[dict[str, Any]] = {"public": True}
UNLIMITED: Final[dict[str, Any]] = {"public": True, "limit": None}
FOREIGN: Final[dict[str, Any]] = {**UNLIMITED, "any_media": True}
"""For what has its own protocol, keys and limits."""
_USER_AGENT_MAX_CHARS: Final = 200
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def limited(policy: str, *, public: bool = False) -> dict[str, Any]:
    """Return the `opt` of a route under another rate-limit policy than "default"."""
    return {"public": public, "limit": limits.POLICIES[policy].name}


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """Know the actor, count the request, refuse what a key may not do and foreign bodies."""
    _refuse_key_in_url(connection)
    public = bool(handler.opt.get("public"))
    key = None if public else await _presented_key(connection)
    if public:
        current = anonymous(connection)
    elif key is not None:
        current = _keyed(connection, key)
    else:
        current = await _signed_in(connection)
    connection.scope["state"]["actor"] = current
    denied = None if key is None else _denied(connection, key)
    # What a key may not do is none of the account's dear requests.
    policy_name: str | None = "default" if denied else handler.opt.get("limit", "default")
    if policy_name is not None:
        await _count(connection, policy_name, current, key)
    if denied is not None:
        raise denied
    if handler.opt.get("recent"):
        recency.require_recent(connection.scope["state"]["authenticated_at"])
    if not handler.opt.get("any_media"):
        _refuse_other_media(connection)
    if not public:
        strict_query.check(connection)


def anonymous(connection: Connection) -> Actor:
    """Return the actor of a request without a token."""
    return _actor(connection, None)


def require_admin(connection: Connection) -> None:
    """Refuse unless an administrator is signed in; a key never is one."""
    current = actor(connection)
    if current.kind != "user" or current.role != "admin":
        raise DomainError("auth.forbidden")


def user_id_of(connection: Connection) -> UserId:
    """Return the account that acts; closed routes have one."""
    user_id = actor(connection).user_id
    if user_id is None:
        raise DomainError("auth.required")
    return user_id


def require_development(connection: Connection) -> None:
    """Refuse unless the hub runs for development and the caller is on this machine."""
    settings = resources(connection).settings
    if settings.server.mode != "development" or not _is_loopback(client_address(connection)):
        raise DomainError("auth.development_only")
    # Behind a proxy on this machine everybody's address is loopback, unless a proxy that the
    # operator trusts says for all its hops that they are (compose.yaml's does).
    forwarded = {name for name in _FORWARDED if name in connection.headers}
    if settings.server.trusted_proxies and forwarded == {"x-forwarded-for"}:
        hops = ",".join(connection.headers.getall("x-forwarded-for")).split(",")
        forwarded = {hop for hop in hops if not _is_loopback(hop.strip())}
    if forwarded:
        raise DomainError("auth.development_only")
    # A page that a browser loaded from elsewhere reaches loopback too, by a name of its own
    # (DNS rebinding) or across origins; curl and SDKs send neither.
    host = _host_name(connection.headers.get("host", ""))
    own_host = urlsplit(settings.server.public_url).hostname
    if host not in {"localhost", own_host} and not _is_loopback(host):
        raise DomainError("auth.development_only")
    origin = connection.headers.get("origin")
    if origin is not None and origin not in own_origins(settings):
        raise DomainError("request.origin_refused")


def client_address(connection: Connection) -> str:
    """Return the peer's address, as the server (or a trusted proxy) saw it."""
    client = connection.scope.get("client")
    return client[0] if client else ""


async def _signed_in(connection: Connection) -> Actor:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise DomainError("auth.required")
    claims = await _verify(connection, token.strip())
    await sign_ins(connection).admit(str(claims.sid))
    connection.scope["state"]["authenticated_at"] = claims.auth_time
    return _actor(connection, claims)


def _keyed(connection: Connection, key: KnownKey) -> Actor:
    # Without the account's role: a key administers nothing.
    user_id = UserId(key.user_id)
    return msgspec.structs.replace(_actor(connection, None), kind="api_key", user_id=user_id)


async def _verify(connection: Connection, token: str) -> Claims:
    house = resources(connection)
    try:
        return house.token_keys.verify(token)
    except DomainError as refusal:
        if refusal.code != "auth.token_invalid" or house.foreign_bearer is None:
            raise
    return await house.foreign_bearer(token, anonymous(connection))


def _actor(connection: Connection, claims: Claims | None) -> Actor:
    agent = connection.headers.get("user-agent", "")[:_USER_AGENT_MAX_CHARS]
    template = connection.scope.get("path_template", "")
    return Actor(
        kind=ANONYMOUS.kind if claims is None else "user",
        user_id=None if claims is None else claims.sub,  # pyright: ignore[reportArgumentType]
        role="user" if claims is None else claims.role,
        session_id="" if claims is None else str(claims.sid),
        request_id=log.request_id.get(),
        ip=client_address(connection) if _is_address(client_address(connection)) else "",
        user_agent="".join(char for char in agent if char.isprintable()),
        endpoint=f"{connection.scope.get('method', 'WS')} {template}",
    )


async def _presented_key(connection: Connection) -> KnownKey | None:
    """Return the API key of a request; None: it has none. More than one credential is none."""
    bearers = connection.headers.getall("authorization", [])
    keys = connection.headers.getall("x-api-key", [])
    if len(bearers) + len(keys) > 1:
        raise refused("ambiguous", "auth.ambiguous")
    text = "".join(keys)
    if not keys:
        scheme, _, token = "".join(bearers).partition(" ")
        text = token.strip()
        if scheme.lower() != "bearer" or not text.startswith(api_key.MARK):
            return None
    nobody = anonymous(connection)

    async def count() -> None:
        await _count(connection, GUESSES, nobody)

    address = limits.address_subject(nobody.ip)
    key = await resources(connection).api_keys.find(text, address, count)
    connection.scope["state"]["api_key"] = key.prefix
    return key


def _denied(connection: Connection, key: KnownKey) -> DomainError | None:
    """Return why a key may not do this; what no scope is named for is closed to keys."""
    method = str(connection.scope.get("method"))
    route = f"{method} {connection.scope.get('path_template', '')}"
    needed: scopes.Scope | None = connection.app.state.route_scopes.get(route)
    if needed is None:
        return refused("closed", "auth.key_refused")
    if not scopes.covers(key.scopes, needed, method):
        return refused("scope", "auth.scope_missing", f"The API key lacks the scope `{needed}`.")
    return None


def _refuse_key_in_url(connection: Connection) -> None:
    # Only what the hub knows is looked at: it logs neither path nor query, but others do.
    query = connection.scope.get("query_string", b"")
    if query and api_key.SHAPE.search(unquote_plus(query.decode("latin-1"))):
        raise refused("in_url", "auth.key_in_url")


async def _count(
    connection: Connection, name: str, current: Actor, key: KnownKey | None = None
) -> None:
    house = resources(connection)
    policy, user_id = house.limiter.policies[name], current.user_id
    tier: limits.Tier = "free"
    if policy.by == "ip" or user_id is None:
        subject = limits.address_subject(current.ip)
    else:
        subject = f"key:{key.id}" if key is not None and policy.by == "actor" else str(user_id)
        tier = await house.tiers.of(user_id) if policy.is_by_tier else tier
    allowance = await house.limiter.take(name, subject, tier=tier)
    if allowance is None:
        return
    connection.scope["state"]["headers"] = allowance.headers()
    if allowance.refused:
        raise DomainError("limit.exceeded", retry_after_seconds=allowance.wait_seconds())


def _refuse_other_media(connection: Connection) -> None:
    headers = connection.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if connection.scope.get("method") not in _BODY_METHODS or not has_body:
        return
    media_type, _, parameters = headers.get("content-type", "").lower().partition(";")
    named = (item.strip().partition("=") for item in parameters.split(";"))
    # JSON is UTF-8, whether it says so or not (RFC 8259, 8.1).
    is_utf8 = all(value.strip('"') == "utf-8" for name, _, value in named if name == "charset")
    if media_type.strip() != "application/json" or not is_utf8:
        raise DomainError("request.media_type")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise DomainError("request.media_type", "Send the body as it is, without compression.")


def _host_name(host: str) -> str:
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
