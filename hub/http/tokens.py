"""Access tokens: EdDSA JWTs (RFC 8037) that REST and websocket accept alike.

The key file holds PKCS#8 Ed25519 keys. All verify; of those whose time has come, the newest signs.
A line `Signs-From: <Unix seconds>` before a key announces it, so that every process and whoever
reads the JWKS knows it before it signs. Without one it signs at once, the first in the file before
all others. A key goes when a newer one has signed for longer than its tokens live.
"""

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
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
_LEEWAY_SECONDS: Final = 60  # for the clocks of several hubs
# RFC 7468, section 5.2: what stands outside of the boundaries is for people and programs like this.
_PEM: Final = re.compile(
    r"(?:^Signs-From: ([0-9]{1,12})\s+)?"
    r"(-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----)",
    re.DOTALL | re.MULTILINE,
)

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
    auth_time: int = 0
    """When the person last proved who they are (RFC 9068, 2.2.1); 0: nobody knows."""


class SigningKey(msgspec.Struct, frozen=True):
    """One key of the file, and from when on it signs."""

    key: OKPKey
    signs_from: int
    """Unix seconds; 0: always."""
    pem: str


class TokenKeys:
    """The keys of the hub: signs with the newest whose time has come, verifies with each."""

    def __init__(self, keys: list[SigningKey], *, issuer: str, lifetime_seconds: int) -> None:
        self._issuer = issuer
        self.lifetime_seconds = lifetime_seconds
        self.replace(keys)

    def replace(self, keys: list[SigningKey]) -> None:
        """Use these keys from now on; tokens of those that are gone are refused."""
        self.keys = keys
        self._verifying_keys = KeySet([item.key for item in keys])
        self._known = {item.key.kid for item in keys}
        # An app sends the same token for minutes; what may change, its age, is checked each time.
        self._decode_once = lru_cache(_REMEMBERED_TOKENS)(self._decode)

    def retire(self) -> None:
        """Let go of keys whose tokens have all expired, as a newer one has signed since."""
        newest = self.signing_key
        settled_at = newest.signs_from + self.lifetime_seconds + _LEEWAY_SECONDS
        kept = [item for item in self.keys if item.signs_from >= newest.signs_from]
        if newest.signs_from and settled_at <= clock.unix_seconds() and len(kept) < len(self.keys):
            self.replace(kept)

    @property
    def signing_key(self) -> SigningKey:
        """Return the key that signs now."""
        now = clock.unix_seconds()
        due = [item for item in self.keys if item.signs_from <= now]
        return max(due, key=_begin) if due else min(self.keys, key=_begin)

    def issue(
        self, user_id: UUID, session_id: UUID, role: Role, *, authenticated_at: int = 0
    ) -> str:
        """Return an access token for a user's sign-in session."""
        issued_at = clock.unix_seconds()
        claims: dict[str, Any] = {
            "sub": str(user_id),
            "sid": str(session_id),
            "role": role,
            "auth_time": authenticated_at,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_seconds,
            "iss": self._issuer,
            "aud": AUDIENCE,
        }
        key = self.signing_key.key
        header = {"alg": _ALGORITHM, "kid": key.kid, "typ": _TYPE}
        return jwt.encode(header, claims, key, algorithms=[_ALGORITHM])

    def verify(self, token: str) -> Claims:
        """Return the claims of a genuine live token, or raise auth.token_invalid or _expired."""
        claims = self._decode_once(token)
        now = clock.unix_seconds()
        # An expired token gets no leeway.
        if claims.iat > now + _LEEWAY_SECONDS or claims.exp - claims.iat > self.lifetime_seconds:
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
    keys = TokenKeys(
        read_keys(auth), issuer=auth.issuer, lifetime_seconds=auth.access_token_seconds
    )
    keys.retire()
    return keys


def read_keys(auth: config.Auth) -> list[SigningKey]:
    """Return the keys of the file of the settings, or raise ConfigError."""
    path = config.require(auth.signing_keys, "auth.signing_keys")
    try:
        keys = [_read_key(*found) for found in _PEM.findall(Path(path).read_text())]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"auth.signing_keys: {path} cannot be read: {error}") from None
    if not keys:
        raise ConfigError(f"auth.signing_keys: {path} holds no PKCS#8 private key")
    return keys


def written(keys: Iterable[SigningKey]) -> str:
    """Return the text of a key file."""
    return "".join(f"Signs-From: {item.signs_from}\n{item.pem}\n" for item in keys)


def new_key(signs_from: int) -> SigningKey:
    """Return a fresh key."""
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
    return _read_key(str(signs_from), pem)


def _read_key(signs_from: str, pem: str) -> SigningKey:
    thumbprint = OKPKey.import_key(pem).thumbprint()
    key = OKPKey.import_key(pem, {"kid": thumbprint, "use": "sig", "alg": _ALGORITHM})
    if key.as_dict(private=False)["crv"] != "Ed25519":
        raise ValueError("only Ed25519 keys sign access tokens")
    return SigningKey(key, int(signs_from or 0), pem)


def _begin(item: SigningKey) -> int:
    return item.signs_from
