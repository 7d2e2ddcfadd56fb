"""Connection and subscription tokens: JWTs that an application's backend signs for its users.

The claims are those of Centrifugo's tokens. Binary `b64info` and `b64data` have to hold JSON here:
what one client brings is shown to others, and those may speak JSON.
"""

import base64
import math
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from core import clock, log
from hub.realtime.protocol.messages import EMPTY
from hub.realtime.protocol.payload import is_json
from hub.realtime.tokens.claims import (
    ConnectClaims,
    SubscribeClaims,
    SubscribeOptions,
    TokenExpiredError,
    TokenInvalidError,
)
from hub.realtime.tokens.signatures import KeySource, SignatureVerifier

_NULL: Final = b"null"
# In 2106: the protocol says lives in seconds of 32 bits.
_FOREVER: Final = (1 << 32) - 1

_logger = log.get("realtime.tokens")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What else a token has to say; an empty rule asks for nothing. Patterns are searched for."""

    audience: str = ""
    audience_regex: str = ""
    issuer: str = ""
    issuer_regex: str = ""
    user_id_claim: str = ""
    """Where the user is, instead of in `sub`; a dot leads into an object."""

    def __post_init__(self) -> None:
        for name in ("audience_regex", "issuer_regex"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(f"{name}: {error}") from None


class _Override(msgspec.Struct):
    value: bool = False


class _Overrides(msgspec.Struct):
    presence: _Override | None = None
    join_leave: _Override | None = None
    force_push_join_leave: _Override | None = None
    force_recovery: _Override | None = None
    force_positioning: _Override | None = None


class _Subscription(msgspec.Struct):
    info: Raw = EMPTY
    b64info: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    override: _Overrides | None = None


class _Registered(msgspec.Struct):
    sub: str = ""
    iss: str = ""
    aud: str | list[str] | None = None
    exp: float | None = None
    nbf: float | None = None
    expire_at: int | None = None
    channel: str = ""


class _Connect(_Registered):
    info: Raw = EMPTY
    b64info: str = ""
    channels: list[str] | None = None
    subs: dict[str, _Subscription] | None = None
    meta: Raw = EMPTY


class _Subscribe(_Registered):
    client: str = ""
    info: Raw = EMPTY
    b64info: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    override: _Overrides | None = None


_C = TypeVar("_C", _Connect, _Subscribe)


class TokenVerifier:
    """Says what a token says, after signature, origin and times were checked."""

    def __init__(
        self,
        keys: KeySource,
        rules: Rules | None = None,
        now: Callable[[], int] = clock.unix_seconds,
    ) -> None:
        self._signatures = SignatureVerifier(keys, now)
        self._rules = rules or Rules()
        self._now = now

    async def connect(self, token: str) -> ConnectClaims:
        """Return a connection token's claims.

        Raises TokenInvalidError, TokenExpiredError, or KeysUnavailableError where that is unknown.
        """
        try:
            return _connect_claims(*await self._read(token, _Connect))
        except TokenInvalidError as refusal:
            _logger.info("connection_refused", reason=str(refusal))
            raise

    async def subscribe(self, token: str) -> SubscribeClaims:
        """Return a subscription token's claims, or raise as `connect` does."""
        try:
            return _subscribe_claims(*await self._read(token, _Subscribe))
        except TokenInvalidError as refusal:
            _logger.info("subscription_refused", reason=str(refusal))
            raise

    async def _read(self, token: str, claims_type: type[_C]) -> tuple[_C, str]:
        payload = await self._signatures.payload(token)
        try:
            claims = msgspec.json.decode(payload, type=claims_type)
            path = self._rules.user_id_claim
            user = _user_at(path, msgspec.json.decode(payload)) if path else claims.sub
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise TokenInvalidError(f"claims: {error}") from None
        self._check_origin(claims)
        now = self._now()
        if (claims.exp is not None and claims.exp <= now) or (claims.nbf or 0) > now:
            raise TokenExpiredError
        return claims, user

    def _check_origin(self, claims: _Registered) -> None:
        rules = self._rules
        audiences = [claims.aud] if isinstance(claims.aud, str) else (claims.aud or [])
        if rules.audience and rules.audience not in audiences:
            raise TokenInvalidError("audience")
        if rules.audience_regex and not any(
            re.search(rules.audience_regex, item) for item in audiences
        ):
            raise TokenInvalidError("audience")
        if rules.issuer and rules.issuer != claims.iss:
            raise TokenInvalidError("issuer")
        if rules.issuer_regex and not re.search(rules.issuer_regex, claims.iss):
            raise TokenInvalidError("issuer")


def _connect_claims(claims: _Connect, user: str) -> ConnectClaims:
    if claims.channel:
        raise TokenInvalidError("a subscription token opens no connection")
    return ConnectClaims(
        user=user,
        expires_at=_expires_at(claims),
        info=_text(claims.info, claims.b64info),
        # As in the original: `subs` says more about the same.
        channels=() if claims.subs else tuple(claims.channels or ()),
        subs={name: _options(item) for name, item in (claims.subs or {}).items()},
        meta=_text(claims.meta),
    )


def _subscribe_claims(claims: _Subscribe, user: str) -> SubscribeClaims:
    if not claims.channel:
        raise TokenInvalidError("a subscription token names a channel")
    return SubscribeClaims(
        user=user,
        channel=claims.channel,
        client=claims.client,
        options=_options(claims, _expires_at(claims)),
    )


def _expires_at(claims: _Registered) -> int:
    """Return when what the token gives ends: `expire_at` has the last word, 0 or less is never."""
    if claims.expire_at is not None:
        return min(max(0, claims.expire_at), _FOREVER)
    return math.floor(min(claims.exp, _FOREVER)) if claims.exp is not None else 0


def _user_at(path: str, claims: dict[str, Any]) -> str:
    *way, last = path.split(".")
    for name in way:
        claims = claims.get(name) or {}
        if not isinstance(claims, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # JSON
            return ""
    user: Any = claims.get(last)
    if isinstance(user, int) and not isinstance(user, bool):
        return str(user)
    return user if isinstance(user, str) else ""


def _options(claims: _Subscription | _Subscribe, expires_at: int = 0) -> SubscribeOptions:
    chosen = claims.override or _Overrides()
    return SubscribeOptions(
        info=_text(claims.info, claims.b64info),
        data=_text(claims.data, claims.b64data),
        expires_at=expires_at,
        presence=_value(chosen.presence),
        join_leave=_value(chosen.join_leave),
        force_push_join_leave=_value(chosen.force_push_join_leave),
        force_recovery=_value(chosen.force_recovery),
        force_positioning=_value(chosen.force_positioning),
    )


def _value(override: _Override | None) -> bool | None:
    return None if override is None else override.value


def _text(plain: Raw, encoded: str = "") -> Raw:
    """Return a JSON text that a token carries plainly or in Base64."""
    if not encoded:
        # A copy: the original would keep the whole token alive with it.
        text = bytes(plain)
        if text in (b"", _NULL):
            return EMPTY
    else:
        try:
            text = base64.b64decode(encoded, validate=True)
        except ValueError:
            text = b""
    if not is_json(text):
        raise TokenInvalidError("info and data have to hold JSON")
    return Raw(text)
