"""Tokens of identity providers, without I/O: signatures by pinned algorithms, then every claim.

A token says by `alg` and `kid` which key it means; no other header parameter is believed, and none
makes this process fetch anything. Algorithms belong to kinds of keys, so that a public key never
serves as a shared secret. OpenID Connect Core 3.1.3.7, RFC 7515, RFC 7519, RFC 8725.
"""

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeGuard, cast

import msgspec
from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

TOKEN_MAX_CHARS: Final = 16_384
_HEADER_MAX_BYTES: Final = 4_096
_KEYS_MAX: Final = 100
_RSA_MIN_BITS: Final = 2_048
_CLOCK_LEEWAY_SECONDS: Final = 60
_TEXT_MAX_CHARS: Final = 255
_MOMENT_MAX: Final = 1 << 40
_SUPABASE_AUDIENCE: Final = "authenticated"
_EMAIL_MAX_CHARS: Final = 254
# Of Supabase Auth (`amr` of its access tokens); neither "token_refresh" nor "anonymous".
_PROVING_METHODS: Final = frozenset(
    {
        "password",
        "otp",
        "magiclink",
        "oauth",
        "oauth_provider/authorization_code",
        "sso/saml",
        "totp",
        "mfa/phone",
        "mfa/webauthn",
        "passkey",
        "web3",
        "recovery",
        "invite",
        "email/signup",
        "email_change",
    }
)

# The kind of key that an algorithm needs; an EC key also says its curve.
_KINDS: Final = {
    "RS256": ("RSA", ""),
    "PS256": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "HS256": ("oct", ""),
}
_IMPORTERS: Final = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PUBLIC_PARTS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
# Issuers put parameters of their own into headers; they are ignored.
_REGISTRY: Final = jws.JWSRegistry(algorithms=list(_KINDS), strict_check_header=False)
_REGISTRY.max_header_length = _HEADER_MAX_BYTES

# RFC 9864 renames EdDSA to Ed25519; issuers still use the old name.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

AnyKey = RSAKey | ECKey | OKPKey | OctKey


class TokenRefusedError(Exception):
    """The token proves nothing; the message says why in words that hold nothing of it."""


class TokenExpiredError(TokenRefusedError):
    """The token was good once."""


class UnknownKeyError(TokenRefusedError):
    """No key has the token's key id: the issuer may have rotated its keys."""


class Key(msgspec.Struct, frozen=True):
    """A key that verifies, with the only algorithm that it says it is for, if it says."""

    value: AnyKey
    kind: str
    curve: str = ""
    algorithm: str = ""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a token has to say. `client_ids`: for whom it may be, the first one by preference."""

    issuers: tuple[str, ...]
    client_ids: tuple[str, ...]
    algorithms: tuple[str, ...]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a provider vouches for. A private relay's address is no proof of who one is."""

    issuer: str
    subject: str
    email: str = ""
    email_verified: bool = False
    is_private_relay: bool = False
    phone: str = ""
    phone_verified: bool = False
    full_name: str = ""
    locale: str = ""
    authenticated_at: int = 0
    """When they proved to the provider who they are, in Unix seconds; 0: it does not say."""


def read_keys(document: object) -> dict[str, Key]:
    """Return the signing keys of a JWKS document by key id, or raise ValueError (RFC 7517)."""
    listed = document.get("keys") if isinstance(document, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(listed, list):
        raise ValueError("no key set")  # noqa: TRY004  # of the document, not of a type
    found: dict[str, Key] = {}
    for item in cast("list[Any]", listed)[:_KEYS_MAX]:
        try:
            key_id, key = _read_key(item)
        except (ValueError, TypeError, KeyError, AttributeError, JoseError):
            continue  # keys for other purposes stand beside ours
        found[key_id] = key
    if not found:
        raise ValueError("no key that could sign tokens")
    return found


def shared_key(secret: str) -> Key:
    """Return the key of a shared secret."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return Key(OctKey.import_key(secret), "oct", algorithm="HS256")


def verified_claims(
    token: str, keys: Mapping[str, Key] | Key, algorithms: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that one of the keys, or the only key, has signed."""
    header = read_header(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefusedError("an algorithm that is not allowed")
    if "crit" in header:
        raise TokenRefusedError("demands an extension")
    key = _find_key(keys, algorithm, key_id)
    try:
        verified = jws.deserialize_compact(
            token, key.value, algorithms=[algorithm], registry=_REGISTRY
        )
    except (JoseError, ValueError, TypeError):
        raise TokenRefusedError("the signature is wrong") from None
    return header, _object(verified.payload or b"")


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a token that nothing is proved of yet."""
    return _object(_part(token, 0))


def unverified_issuer(token: str) -> str:
    """Return whom a token names as its issuer, for choosing the keys that it is verified by."""
    issuer = _object(_part(token, 1)).get("iss")
    return issuer if isinstance(issuer, str) else ""


def check_id_token(  # each is one of the token's claims
    header: dict[str, Any],
    claims: dict[str, Any],
    expected: Expected,
    *,
    nonce: str,
    access_token: str = "",
    max_age: int | None = None,
    now: int,
) -> None:
    """Raise TokenRefusedError unless an ID token is for us, of now and of this very sign-in.

    `max_age`: how many seconds ago at most the person has shown the provider who they are.
    """
    check_times(claims, now)
    issuer, azp, said_nonce = claims.get("iss"), claims.get("azp"), claims.get("nonce")
    if issuer not in expected.issuers:
        raise TokenRefusedError("another issuer")
    audiences = audiences_of(claims)
    # More audiences than we know could each replay the token here.
    if not audiences or not set(audiences) <= set(expected.client_ids):
        raise TokenRefusedError("another audience")
    if azp is None and len(audiences) > 1:
        raise TokenRefusedError("several audiences and no authorized party")
    if azp is not None and azp not in expected.client_ids:
        raise TokenRefusedError("another authorized party")
    if not isinstance(said_nonce, str) or not hmac.compare_digest(
        said_nonce.encode(), nonce.encode()
    ):
        raise TokenRefusedError("another nonce")
    check_text(claims.get("sub"), "subject")
    if max_age is not None and now - authenticated_at(claims) > max_age + _CLOCK_LEEWAY_SECONDS:
        raise TokenRefusedError("an older sign-in")
    params = {"nonce": nonce, "access_token": access_token or None, "client_id": azp}
    standard: Any = CodeIDToken(claims, header, params=params)
    try:
        standard.validate(now=now, leeway=_CLOCK_LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise TokenRefusedError(f"claim refused: {getattr(error, 'claim', 'malformed')}") from None


def check_supabase(claims: dict[str, Any], issuer: str, now: int) -> None:
    """Raise unless an access token of Supabase Auth is a signed-in person's and of now."""
    if claims.get("iss") != issuer:
        raise TokenRefusedError("another issuer")
    if audiences_of(claims) != [_SUPABASE_AUDIENCE]:
        raise TokenRefusedError("another audience")
    # The project's public and service keys are tokens too, and nobody's.
    if claims.get("role") != _SUPABASE_AUDIENCE:
        raise TokenRefusedError("another role")
    check_text(claims.get("sub"), "subject")
    check_times(claims, now)


def check_times(claims: dict[str, Any], now: int) -> None:
    """Raise unless a token says when it was made and that it still lives; no leeway for its end."""
    expires_at, issued_at = claims.get("exp"), claims.get("iat")
    not_before = claims.get("nbf", 0)
    for moment in (expires_at, issued_at, not_before):
        if not _is_moment(moment):
            raise TokenRefusedError("without its times")
    if not float(expires_at or 0) > now:
        raise TokenExpiredError("expired")
    if not max(float(issued_at or 0), float(not_before)) <= now + _CLOCK_LEEWAY_SECONDS:
        raise TokenRefusedError("of the future")


def authenticated_at(claims: dict[str, Any]) -> int:
    """Return when the person last proved who they are, in Unix seconds; 0: the token does not say.

    By `auth_time` (OpenID Connect Core, 2), or by the newest way of `amr` as Supabase Auth lists
    them; renewing a token is in its list too, and proves nothing.
    """
    listed = claims.get("amr")
    ways = cast("list[Any]", listed) if isinstance(listed, list) else []
    said: list[Any] = [claims.get("auth_time")]
    for way in ways:
        found = cast("dict[str, Any]", way) if isinstance(way, dict) else {}
        if str(found.get("method")) in _PROVING_METHODS:
            said.append(found.get("timestamp"))
    moments = [int(item) for item in said if _is_moment(item)]
    return max(moments, default=0)


def audiences_of(claims: dict[str, Any]) -> list[str]:
    """Return for whom a token is."""
    audience = claims.get("aud")
    listed = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    return [item for item in listed if isinstance(item, str)] if all(listed) else []


def check_text(value: object, name: str) -> str:
    """Return an identifier that a token has to hold."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _TEXT_MAX_CHARS
        or not value.isprintable()
    ):
        raise TokenRefusedError(f"without {name}")
    return value


def person_of(claims: dict[str, Any], issuer: str) -> Person:
    """Return whom the claims of an ID token or of userinfo are about."""
    email, relay = claims.get("email"), _is_true(claims.get("is_private_email"))
    written = claims.get("user_metadata")
    own = cast("dict[str, Any]", written) if isinstance(written, dict) else {}
    if not isinstance(email, str) or not is_address(email):
        email = ""
    return Person(
        issuer=issuer,
        subject=check_text(claims.get("sub"), "subject"),
        email=email,
        email_verified=bool(email) and _is_true(claims.get("email_verified")),
        is_private_relay=relay or email.lower().endswith("@privaterelay.appleid.com"),
        phone=_text(claims.get("phone_number")),
        phone_verified=_is_true(claims.get("phone_number_verified")),
        full_name=_text(claims.get("name")) or _text(own.get("full_name") or own.get("name")),
        locale=_text(claims.get("locale")),
    )


def is_address(email: str) -> bool:
    """Say whether a text could be an e-mail address."""
    name, _, domain = email.rpartition("@")
    return bool(name and domain) and len(email) <= _EMAIL_MAX_CHARS and email.isprintable()


def hashed_nonce(nonce: str) -> str:
    """Return what an app gives to an SDK: a token that leaks alone does not tell the nonce."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def _find_key(keys: Mapping[str, Key] | Key, algorithm: str, key_id: object) -> Key:
    kind, curve = _KINDS[algorithm]
    if isinstance(keys, Key):
        if (keys.kind, keys.curve) != (kind, curve):
            raise TokenRefusedError("a key for another algorithm")
        return keys
    fitting = {
        name: key
        for name, key in keys.items()
        if key.kind == kind and key.curve == curve and key.algorithm in ("", algorithm)
    }
    if key_id is None and len(fitting) == 1:
        return next(iter(fitting.values()))
    if not isinstance(key_id, str) or key_id not in keys:
        raise UnknownKeyError("an unknown key")
    if key_id not in fitting:
        raise TokenRefusedError("a key for another algorithm")
    return fitting[key_id]


def _read_key(item: dict[str, Any]) -> tuple[str, Key]:
    kind = item["kty"]
    if item.get("use", "sig") != "sig" or "verify" not in item.get("key_ops", ["verify"]):
        raise ValueError("for another purpose")
    public = {name: item[name] for name in ("kty", *_PUBLIC_PARTS[kind])}
    value = _IMPORTERS[kind].import_key(public)
    if isinstance(value, RSAKey) and value.public_key.key_size < _RSA_MIN_BITS:
        raise ValueError("a key that can be broken")
    algorithm = str(item.get("alg", ""))
    key_id = item.get("kid", "")
    if not isinstance(key_id, str):
        raise TypeError("a key id is text")
    curve = str(public.get("crv", ""))
    return key_id, Key(value, kind, curve, "EdDSA" if algorithm == "Ed25519" else algorithm)


def _part(token: str, number: int) -> bytes:
    parts = token.split(".")
    if len(token) > TOKEN_MAX_CHARS or not token.isascii() or len(parts) != 3:  # noqa: PLR2004  # header, payload, signature
        raise TokenRefusedError("not a token")
    try:
        return base64.b64decode(parts[number] + "=" * (-len(parts[number]) % 4), b"-_", True)
    except ValueError:
        raise TokenRefusedError("not Base64") from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        found: Any = _strict_json.decode(text.decode())
    except (ValueError, RecursionError):
        raise TokenRefusedError("not JSON") from None
    if not isinstance(found, dict):
        raise TokenRefusedError("not an object")
    return cast("dict[str, Any]", found)


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: whoever reads the other one sees another token."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


_strict_json: Final = json.JSONDecoder(object_pairs_hook=_without_duplicates)


def _is_moment(seconds: object) -> TypeGuard[float]:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return 0 <= seconds < _MOMENT_MAX  # also refuses NaN


def _is_true(value: object) -> bool:
    # Apple writes booleans as texts.
    return value is True or value == "true"


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value if char.isprintable()).strip()[:120]
