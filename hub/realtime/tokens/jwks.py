"""Keys from a JWKS endpoint (RFC 7517) that rotates them.

The set is read when a token first needs it, again every few minutes while tokens come, and at once
for a key id that it lacks, though not more often than every few seconds. An endpoint that is down
leaves the last set in force for hours: its outage is not everybody's.
"""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.jwk import ECKey, OKPKey, RSAKey

from core import clock, log
from hub.providers import outgoing_rules
from hub.providers.outgoing import Outgoing, OutgoingError
from hub.realtime.tokens.claims import TokenInvalidError
from hub.realtime.tokens.signatures import (
    EC_ALGORITHMS,
    EDDSA,
    RSA_ALGORITHMS,
    Key,
    KeysUnavailableError,
    import_key,
)

REFRESH_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 5.0
AGE_MAX_SECONDS: Final = 24 * 3600.0
"""How long an unreachable endpoint's keys are believed."""
FETCH_SECONDS: Final = 5.0
_KEYS_MAX: Final = 100

_logger = log.get("realtime.jwks")

_Keys = dict[str, tuple[tuple[str, ...], Key]]
"""By key id: the algorithms that the key may verify, and the key."""


class EndpointError(Exception):
    """The endpoint did not answer with a usable set of keys."""


class _KeySpec(msgspec.Struct):
    kty: str
    kid: str = ""
    use: str = ""
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class EndpointKeys:
    """The keys of an endpoint; one request at a time, however many tokens wait for it."""

    def __init__(self, url: str, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        if "{" in url:
            raise ValueError("has to be one address, without placeholders")
        parts = urlsplit(url)
        # A name and password in the address have never been sent.
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        try:
            self._target = outgoing_rules.read(self._url)
        except outgoing_rules.AddressError as error:
            raise ValueError(f"has to be an http or https address: {error}") from None
        if not self._target.is_protected:
            raise ValueError(
                "the JWKS address has to be https: over http anybody on the way signs tokens with"
                " keys of their own (http only on this machine)"
            )
        # The address is the one that was configured: without redirects.
        self._outgoing = Outgoing((self._target.place,))
        self._now = now
        self._keys: _Keys = {}
        self._generation = 0
        self._read_at: float | None = None
        self._retry_at = now()
        self._fetch: asyncio.Task[bool] | None = None

    @property
    def generation(self) -> int | None:
        """Changes with every other set of keys; looking keeps the set fresh in the background."""
        if self._read_at is None or self._now() > self._read_at + AGE_MAX_SECONDS:
            return None
        if self._now() > self._read_at + REFRESH_SECONDS:
            self._begin()
        return self._generation

    async def find(self, algorithm: str, key_id: str) -> Sequence[Key]:
        """Return the key that a token names."""
        if not key_id:
            raise TokenInvalidError("names no key id")
        known = self._keys.get(key_id) if self.generation is not None else None
        if known is None:
            known = await self._find_anew(key_id)
        algorithms, key = known
        return [key] if algorithm in algorithms else []

    async def close(self) -> None:
        """End a request that is under way."""
        if self._fetch:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])
        await self._outgoing.close()

    async def _find_anew(self, key_id: str) -> tuple[tuple[str, ...], Key]:
        earlier = self._fetch
        fetch = self._begin()
        # Shielded: one client's departure must not end what others wait for.
        is_read = fetch is not None and await asyncio.shield(fetch)
        if self.generation is not None and key_id in self._keys:
            return self._keys[key_id]
        if is_read and fetch is not earlier:
            raise TokenInvalidError("names an unknown key")
        # The endpoint is down, or was asked a moment before the key appeared: nobody can know.
        raise KeysUnavailableError

    def _begin(self) -> asyncio.Task[bool] | None:
        if self._fetch and not self._fetch.done():
            return self._fetch
        if self._now() < self._retry_at:
            return None
        self._retry_at = self._now() + RETRY_SECONDS
        self._fetch = asyncio.create_task(self._refresh())
        return self._fetch

    async def _refresh(self) -> bool:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = _parse(await self._read())
        except (EndpointError, OutgoingError, TimeoutError) as error:
            _logger.warning("jwks_unreachable", host=self._target.host, reason=_reason(error))
            return False
        if _fingerprint(keys) != _fingerprint(self._keys):
            self._generation += 1
            _logger.info("jwks_changed", host=self._target.host, number=len(keys))
        self._keys = keys
        self._read_at = self._now()
        return True

    async def _read(self) -> bytes:
        answer = await self._outgoing.send("GET", self._url, headers={"Accept": "application/json"})
        if answer.status != HTTPStatus.OK:
            raise EndpointError(f"the answer is {answer.status}")
        return answer.body


def _parse(document: bytes) -> _Keys:
    try:
        keys = msgspec.json.decode(document, type=_KeySet).keys
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise EndpointError("the answer is no key set") from None
    found: _Keys = {}
    for item in keys[:_KEYS_MAX]:
        try:
            spec = msgspec.convert(item, _KeySpec)
            algorithms, key = _import(spec)
        except (msgspec.MsgspecError, ValueError):
            # Keys for other purposes stand beside ours.
            continue
        if spec.kid and spec.use in ("", "sig"):
            found[spec.kid] = (algorithms, Key(key))
    if not found:
        raise EndpointError("the answer has no key that could sign tokens")
    return found


def _import(spec: _KeySpec) -> tuple[tuple[str, ...], RSAKey | ECKey | OKPKey]:
    """Return a public key with its algorithms: its own `alg`, else all of its family."""
    match spec.kty:
        case "RSA":
            family = RSA_ALGORITHMS
            key = import_key(RSAKey, {"kty": "RSA", "n": spec.n, "e": spec.e})
        case "EC" if spec.crv in EC_ALGORITHMS:
            family = (EC_ALGORITHMS[spec.crv],)
            key = import_key(ECKey, {"kty": "EC", "crv": spec.crv, "x": spec.x, "y": spec.y})
        case "OKP" if spec.crv == "Ed25519":
            family = (EDDSA,)
            key = import_key(OKPKey, {"kty": "OKP", "crv": spec.crv, "x": spec.x})
        case _:
            raise ValueError("not a key for signatures")
    own = EDDSA if spec.alg == "Ed25519" else spec.alg
    if own and own not in family:
        raise ValueError("an algorithm that does not fit the key")
    return ((own,) if own else family), key


def _fingerprint(keys: _Keys) -> dict[str, tuple[tuple[str, ...], str]]:
    return {
        key_id: (algorithms, key.value.thumbprint()) for key_id, (algorithms, key) in keys.items()
    }


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
