"""Access tokens: EdDSA JWTs (RFC 8037) that REST and websocket accept alike.

The key file holds PKCS#8 Ed25519 keys: the first signs, all verify, so keys rotate by putting a new
one in front and taking the old one away after the longest token's life.
"""

import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet, OKPKey

from core import clock, config
from core.actor import Role
from core.errors import ConfigError, DomainError

AUDIENCE: Final = "pinghub"
_ALGORITHM: Final = "EdDSA"
_TYPE: Final = "at+jwt"  # RFC 9068: no other kind of JWT passes for an access token
_TOKEN_MAX_CHARS: Final = 2048
_REMEMBERED_TOKENS: Final = 4096
_PEM: Final = re.compile(r"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----", re.DOTALL)

# RFC 9864 renames EdDSA to Ed25519; verifiers in the field still expect the old name.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class Claims(msgspec.Struct, frozen=True):
    """What an access token says."""

    sub: UUID
    sid: UUID
    role: Role
    exp: int
    iat: int
    iss: str
    aud: str


class TokenKeys:
    """The keys of the hub: signs with the first, verifies with each."""

    def __init__(self, keys: list[OKPKey], *, issuer: str, lifetime_seconds: int) -> None:
        self._signing_key = keys[0]
        self._verifying_keys = KeySet(list(keys))
        self._known = {key.kid for key in keys}
        self._issuer = issuer
        self.lifetime_seconds = lifetime_seconds
        # An app sends the same token for minutes; what may change, its age, is checked each time.
        self._decode_once = lru_cache(_REMEMBERED_TOKENS)(self._decode)

    def issue(self, user_id: UUID, session_id: UUID, role: Role) -> str:
        """Return an access token for a user's sign-in session."""
        issued_at = clock.unix_seconds()
        claims: dict[str, Any] = {
            "sub": str(user_id),
            "sid": str(session_id),
            "role": role,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_seconds,
            "iss": self._issuer,
            "aud": AUDIENCE,
        }
        header = {"alg": _ALGORITHM, "kid": self._signing_key.kid, "typ": _TYPE}
        return jwt.encode(header, claims, self._signing_key, algorithms=[_ALGORITHM])

    def verify(self, token: str) -> Claims:
        """Return the claims of a genuine live token, or raise auth.token_invalid or _expired."""
        claims = self._decode_once(token)
        now = clock.unix_seconds()
        # Small leeway for the clocks of several hubs; an expired token gets none.
        if claims.iat > now + 60 or claims.exp - claims.iat > self.lifetime_seconds:
            raise DomainError("auth.token_invalid")
        if claims.exp <= now:
            raise DomainError("auth.token_expired")
        return claims

    def public_keys(self) -> dict[str, Any]:
        """Return the JWKS document."""
        return dict(self._verifying_keys.as_dict(private=False))

    def _decode(self, token: str) -> Claims:
        if len(token) > _TOKEN_MAX_CHARS:
            raise DomainError("auth.token_invalid")
        try:
            decoded = jwt.decode(token, self._verifying_keys, algorithms=[_ALGORITHM])
            claims = msgspec.convert(decoded.claims, Claims)
        except Exception:  # noqa: BLE001  # whatever a forged header does to the library
            raise DomainError("auth.token_invalid") from None
        header = decoded.header
        if header.get("kid") not in self._known or header.get("typ") != _TYPE or "crit" in header:
            raise DomainError("auth.token_invalid")
        if claims.iss != self._issuer or claims.aud != AUDIENCE:
            raise DomainError("auth.token_invalid")
        return claims


def load_keys(auth: config.Auth) -> TokenKeys:
    """Read the key file of the settings, or raise ConfigError."""
    path = config.require(auth.signing_keys, "auth.signing_keys")
    try:
        blocks = _PEM.findall(Path(path).read_text())
        keys = [_read_key(block) for block in blocks]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"auth.signing_keys: {path} cannot be read: {error}") from None
    if not keys:
        raise ConfigError(f"auth.signing_keys: {path} holds no PKCS#8 private key")
    return TokenKeys(keys, issuer=auth.issuer, lifetime_seconds=auth.access_token_seconds)


def _read_key(pem: str) -> OKPKey:
    thumbprint = OKPKey.import_key(pem).thumbprint()
    key = OKPKey.import_key(pem, {"kid": thumbprint, "use": "sig", "alg": _ALGORITHM})
    if key.as_dict(private=False)["crv"] != "Ed25519":
        raise ValueError("only Ed25519 keys sign access tokens")
    return key
