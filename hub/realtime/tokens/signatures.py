"""Signatures of tokens: JWS compact serialization (RFC 7515) over allow-listed algorithms.

A token says by `alg` and `kid` which key it means and nothing else: no other header parameter is
believed, none makes this process fetch anything.
"""

import base64
import binascii
import hashlib
import hmac
import json
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from core import clock
from hub.realtime.tokens.claims import TokenInvalidError

HMAC_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512")
EC_ALGORITHMS: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
EDDSA: Final = "EdDSA"
HMAC_KEY_MIN_BYTES: Final = 32
"""Shorter secrets can be guessed from any token (RFC 7518, 3.2); they work all the same."""

_ALGORITHMS: Final = (*HMAC_ALGORITHMS, *RSA_ALGORITHMS, *EC_ALGORITHMS.values(), EDDSA)
_DIGESTS: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_TOKEN_MAX_CHARS: Final = 32_768
_HEADER_MAX_BYTES: Final = 8192  # some issuers put a certificate chain there
_REMEMBERED_TOKENS: Final = 8192
_REMEMBERED_MAX_CHARS: Final = 4096  # so that what is remembered stays below 32 MiB

# Issuers put parameters of their own into headers; they are ignored.
_REGISTRY: Final = jws.JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
_REGISTRY.max_header_length = _HEADER_MAX_BYTES
_REMEMBERED_HEADERS: Final = 64
_REMEMBERED_HEADER_MAX_CHARS: Final = 512

# RFC 9864 renames EdDSA to Ed25519; issuers still use the old name.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

AnyKey = OctKey | RSAKey | ECKey | OKPKey
K = TypeVar("K", OctKey, RSAKey, ECKey, OKPKey)


class KeysUnavailableError(Exception):
    """Whether the token is good cannot be known now: the client should try again."""


class Key(msgspec.Struct, frozen=True):
    """A key that verifies, until `valid_until` (Unix seconds; 0 for good)."""

    value: AnyKey
    valid_until: int = 0


class KeySource(Protocol):
    """Where the keys are that verify tokens: fixed ones here, an endpoint in `jwks`."""

    @property
    def generation(self) -> int | None:
        """Changes whenever a key may have lost its validity; None while no key has any."""
        ...

    async def find(self, algorithm: str, key_id: str) -> Sequence[Key]:
        """Return the keys that may have signed; raise KeysUnavailableError when nobody knows."""
        ...


class FixedKeys:
    """Keys from a configuration: chosen by algorithm, whatever key id a token names."""

    def __init__(
        self,
        *,
        hmac_secret_key: str = "",
        hmac_previous_secret_key: str = "",
        hmac_previous_secret_key_valid_until: int = 0,
        rsa_public_key: str = "",
        ecdsa_public_key: str = "",
    ) -> None:
        """Import secrets and public keys (PEM), or raise ValueError."""
        self._keys: dict[str, list[Key]] = {}
        if hmac_secret_key:
            self._add(HMAC_ALGORITHMS, Key(import_key(OctKey, hmac_secret_key)))
        if hmac_previous_secret_key:
            previous = import_key(OctKey, hmac_previous_secret_key)
            self._add(HMAC_ALGORITHMS, Key(previous, hmac_previous_secret_key_valid_until))
        if rsa_public_key:
            self._add(RSA_ALGORITHMS, Key(import_key(RSAKey, rsa_public_key)))
        if ecdsa_public_key:
            key = import_key(ECKey, ecdsa_public_key)
            if key.curve_name not in EC_ALGORITHMS:
                raise ValueError(f"the curve {key.curve_name} signs no tokens")
            self._add((EC_ALGORITHMS[key.curve_name],), Key(key))

    @property
    def generation(self) -> int:
        """Never changes."""
        return 0

    async def find(self, algorithm: str, key_id: str) -> Sequence[Key]:
        """Return the keys of an algorithm."""
        del key_id
        return self._keys.get(algorithm, ())

    def _add(self, algorithms: Sequence[str], key: Key) -> None:
        for algorithm in algorithms:
            self._keys.setdefault(algorithm, []).append(key)


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: msgspec.Raw | None = None


class _Genuine(msgspec.Struct, frozen=True):
    """The payload of a verified token, and how long its key is good."""

    payload: bytes
    generation: int
    valid_until: int


class SignatureVerifier:
    """Verifies signatures and remembers the good ones, so that a storm of reconnects is cheap."""

    def __init__(self, keys: KeySource, now: Callable[[], int] = clock.unix_seconds) -> None:
        self._keys = keys
        self._now = now
        self._genuine: OrderedDict[bytes, _Genuine] = OrderedDict()

    async def payload(self, token: str) -> bytes:
        """Return what is signed, or raise TokenInvalidError or KeysUnavailableError."""
        if len(token) > _TOKEN_MAX_CHARS or not token.isascii():
            raise TokenInvalidError("too long, or not ASCII")
        digest = hashlib.sha256(token.encode()).digest()
        if known := self._remembered(digest):
            return known
        header, payload = _parse(token)
        keys = await self._keys.find(header.alg, header.kid)
        generation = self._keys.generation
        now = self._now()
        for key in keys:
            if (not key.valid_until or now <= key.valid_until) and _is_signed(token, key, header):
                if generation is not None and len(token) <= _REMEMBERED_MAX_CHARS:
                    self._genuine[digest] = _Genuine(payload, generation, key.valid_until)
                    if len(self._genuine) > _REMEMBERED_TOKENS:
                        self._genuine.popitem(last=False)
                return payload
        raise TokenInvalidError("no key verifies the signature")

    def _remembered(self, digest: bytes) -> bytes | None:
        known = self._genuine.get(digest)
        if known is None:
            return None
        outlived = known.valid_until and self._now() > known.valid_until
        if outlived or known.generation != self._keys.generation:
            del self._genuine[digest]
            return None
        self._genuine.move_to_end(digest)
        return known.payload


def import_key(key_type: type[K], value: str | dict[str, Any]) -> K:
    """Import a secret, PEM or JWK, or raise ValueError."""
    try:
        with warnings.catch_warnings():
            # Weak keys are the configuration's choice.
            warnings.simplefilter("ignore", SecurityWarning)
            return key_type.import_key(value)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"no {key_type.key_type} key: {error}") from None


def _parse(token: str) -> tuple[_Header, bytes]:
    """Return header and payload of a well-formed token, still unverified."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # header, payload, signature
        raise TokenInvalidError("not three parts")
    head, body, _ = parts
    try:
        # One issuer writes the same header into all its tokens.
        short = len(head) <= _REMEMBERED_HEADER_MAX_CHARS
        header = (_short_header if short else _header)(head)
        payload = _decode(body)
        _strict_json.decode(payload.decode())
    except (ValueError, RecursionError) as error:
        raise TokenInvalidError(f"malformed: {type(error).__name__}") from None
    if header.crit is not None:
        raise TokenInvalidError("demands an extension")
    if header.alg not in _ALGORITHMS:
        raise TokenInvalidError("an algorithm that is not allowed")
    return header, payload


def _header(part: str) -> _Header:
    if len(part) > _HEADER_MAX_BYTES:
        raise ValueError("too long")
    text = _decode(part)
    _strict_json.decode(text.decode())
    return msgspec.json.decode(text, type=_Header)


_short_header: Final = lru_cache(_REMEMBERED_HEADERS)(_header)


def _is_signed(token: str, key: Key, header: _Header) -> bool:
    if header.alg in _DIGESTS and isinstance(key.value, OctKey):
        return _is_hmac(token, key.value.raw_value, _DIGESTS[header.alg])
    try:
        jws.deserialize_compact(token, key.value, algorithms=[header.alg], registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _is_hmac(token: str, secret: bytes, digest: str) -> bool:
    """Verify as RFC 7515 says, without the objects that a library makes of each token."""
    signed, _, signature = token.rpartition(".")
    try:
        given = _decode(signature)
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(secret, signed.encode(), digest), given)


def _decode(part: str) -> bytes:
    if not part or part.endswith("="):
        raise binascii.Error
    return base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: whoever reads the other one sees another token."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


_strict_json: Final = json.JSONDecoder(object_pairs_hook=_without_duplicates)
