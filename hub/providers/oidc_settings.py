"""From `[auth.providers.<name>]` to what a provider is: presets, checks, Apple's client secret."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec.structs import replace

from core import clock, config
from core.errors import ConfigError
from hub.providers.oidc_http import may_ask

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RESERVED: Final = frozenset({"development", "passkey", "passkeys"})
_ISSUERS: Final = {"google": "https://accounts.google.com", "apple": "https://appleid.apple.com"}
_HOSTS: Final = {
    "google": (
        "oauth2.googleapis.com",
        "www.googleapis.com",
        "openidconnect.googleapis.com",
    ),
}
_APPLE_AUDIENCE: Final = "https://appleid.apple.com"
_APPLE_SECRET_SECONDS: Final = 300
_SHARED_SECRET_MIN_BYTES: Final = 32  # RFC 7518, 3.2: shorter ones can be guessed from a token
_DANGEROUS_SCHEMES: Final = frozenset({"javascript", "data", "vbscript", "file", "about", "blob"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def resolved(name: str, given: config.LoginProvider) -> config.LoginProvider:
    """Return a provider's settings with its kind's presets, or raise ConfigError."""
    place = f"auth.providers.{name}"
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise ConfigError(f"{place}: a name is a-z, 0-9, - and _, begins with a letter")
    issuer = given.issuer or _ISSUERS.get(given.kind, "")
    hosts = (*_HOSTS.get(given.kind, ()), *given.endpoint_hosts)
    host = urlsplit(issuer).netloc.lower()
    if not may_ask(issuer, frozenset({host})) or urlsplit(issuer).query:
        raise ConfigError(f"{place}.issuer is not an https:// address")
    if given.kind == "supabase":
        if 0 < len(given.jwt_secret.encode()) < _SHARED_SECRET_MIN_BYTES:
            raise ConfigError(f"{place}.jwt_secret is shorter than 32 bytes")
    else:
        if not given.client_id:
            raise ConfigError(f"{place}.client_id is not set")
        if "openid" not in given.scopes:
            raise ConfigError(f"{place}.scopes lacks openid")
        if not given.algorithms:
            raise ConfigError(f"{place}.algorithms is empty")
    if given.kind == "apple":
        apple_secret(given)
        # Apple has no other scopes, and refuses those that it does not know.
        given = replace(given, scopes=("openid", "email", "name"), algorithms=("RS256",))
    return replace(given, issuer=issuer, endpoint_hosts=(host, *(item.lower() for item in hosts)))


def apple_secret(settings: config.LoginProvider) -> str:
    """Return a client secret as Apple takes it: a short-lived JWT, signed by the team's key."""
    if not (settings.apple_team_id and settings.apple_key_id and settings.apple_private_key):
        raise ConfigError("Apple needs apple_team_id, apple_key_id and apple_private_key")
    now = clock.unix_seconds()
    claims: dict[str, Any] = {
        "iss": settings.apple_team_id,
        "iat": now,
        "exp": now + _APPLE_SECRET_SECONDS,
        "aud": _APPLE_AUDIENCE,
        "sub": settings.client_id,
    }
    header = {"alg": "ES256", "kid": settings.apple_key_id}
    try:
        key = ECKey.import_key(settings.apple_private_key)
        return jwt.encode(header, claims, key, algorithms=["ES256"])
    except (JoseError, ValueError, TypeError):
        raise ConfigError("apple_private_key is not a P-256 key as PEM") from None


def check_redirect_uris(uris: tuple[str, ...]) -> None:
    """Raise ConfigError for an address where no sign-in may end."""
    for uri in uris:
        parts = urlsplit(uri)
        is_web = parts.scheme == "https" and bool(parts.hostname)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        # Schemes of one's own begin with a domain that the app's maker has (RFC 8252, 7.1).
        is_private = "." in parts.scheme and parts.scheme not in _DANGEROUS_SCHEMES
        if not (is_web or is_local or is_private) or "#" in uri or "*" in uri or parts.username:
            raise ConfigError(
                "auth.redirect_uris: each is https://…, http:// on loopback, or a private scheme"
                " with a dot; without fragment, wildcard or user"
            )
