"""One issuer: its discovery document and its keys, read when first needed and kept fresh.

An issuer that is down leaves the last answer in force for a day: its outage is not everybody's.
OpenID Connect Discovery 1.0, RFC 8414, RFC 9207.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from core import clock, log
from hub.providers.oidc_http import ProviderHttp, RefusedError, UnreachableError
from hub.providers.oidc_tokens import Key, UnknownKeyError, read_keys, verified_claims

FRESH_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 10.0
"""How often at most an issuer is asked again: tokens with invented key ids must not flood it."""
BELIEVED_SECONDS: Final = 24 * 3600.0

_logger = log.get("oidc")
T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub reads of a discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Kept(Generic[T]):
    """An answer of an issuer and its age; one request at a time, however many wait for it."""

    def __init__(self, read: Callable[[], Awaitable[T]], now: Callable[[], float]) -> None:
        self._read = read
        self._now = now
        self._value: T | None = None
        self._read_at = -BELIEVED_SECONDS
        self._asked_at = -BELIEVED_SECONDS
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the answer, fresh if the issuer can be reached, or raise UnreachableError."""
        if self._value is not None and self._now() < self._read_at + FRESH_SECONDS:
            return self._value
        return await self.anew(self._read_at)

    async def anew(self, seen_at: float) -> T:
        """Return an answer that was read after `seen_at`, unless the issuer was just asked."""
        async with self._lock:
            now = self._now()
            if self._read_at <= seen_at and now >= self._asked_at + RETRY_SECONDS:
                self._asked_at = now
                try:
                    self._value = await self._read()
                    self._read_at = self._now()
                except (UnreachableError, RefusedError, ValueError) as error:
                    _logger.warning("issuer_unreachable", reason=str(error))
            if self._value is None or self._now() > self._read_at + BELIEVED_SECONDS:
                raise UnreachableError("nothing was ever read")
            return self._value

    @property
    def read_at(self) -> float:
        """When the answer was read."""
        return self._read_at


class Issuer:
    """An issuer as its discovery document describes it."""

    def __init__(
        self,
        issuer: str,
        http: ProviderHttp,
        *,
        jwks_uri: str = "",
        now: Callable[[], float] = clock.monotonic_seconds,
    ) -> None:
        self.issuer = issuer
        self._http = http
        self._jwks_uri = jwks_uri
        self._metadata = Kept(self._read_metadata, now)
        self._keys = Kept(self._read_keys, now)

    async def metadata(self) -> Metadata:
        """Return where the issuer's end-points are."""
        return await self._metadata.get()

    async def verify(
        self, token: str, algorithms: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims of a token that the issuer has signed.

        Raises TokenRefusedError, or UnreachableError where the keys are unknown.
        """
        keys = await self._keys.get()
        seen_at = self._keys.read_at
        try:
            return verified_claims(token, keys, algorithms)
        except UnknownKeyError:
            return verified_claims(token, await self._keys.anew(seen_at), algorithms)

    async def _read_metadata(self) -> Metadata:
        address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = await self._http.get(address)
        try:
            found = msgspec.convert(document, Metadata)
        except msgspec.ValidationError:
            raise ValueError("no discovery document") from None
        # Whoever answers for another issuer could have its codes sent to themselves.
        if found.issuer != self.issuer:
            raise ValueError("the discovery document names another issuer")
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            self._http.check(url)
        return found

    async def _read_keys(self) -> dict[str, Key]:
        uri = self._jwks_uri or (await self.metadata()).jwks_uri
        return read_keys(await self._http.get(uri))
