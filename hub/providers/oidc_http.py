"""Requests to identity providers: to hosts that an operator named, small, short, not redirected."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from core.db import assert_no_transaction

REQUEST_SECONDS: Final = 5.0
BODY_MAX_BYTES: Final = 262_144
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class UnreachableError(Exception):
    """The provider gave no usable answer; the message quotes nothing of what it said."""


class RefusedError(Exception):
    """The provider has refused the request (a status of 400 to 499)."""


class ProviderHttp:
    """Speaks to one provider's hosts and to nobody else."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts
        # Proxies of the environment would see what is meant for the provider.
        self._client = httpx.AsyncClient(
            timeout=REQUEST_SECONDS,
            trust_env=False,
            verify=ssl.create_default_context(),
            limits=httpx.Limits(max_connections=16),
        )

    def check(self, url: str) -> str:
        """Return an address that may be asked, or raise UnreachableError."""
        if not may_ask(url, self._hosts):
            raise UnreachableError("an address beyond the configured hosts")
        return url

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  # JSON
        """Return the JSON document at an address."""
        return await self._ask(httpx.Request("GET", self.check(url), headers=headers))

    async def post(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> Any:  # noqa: ANN401  # JSON
        """Send a form and return the JSON answer."""
        request = httpx.Request("POST", self.check(url), data=form)
        if basic is not None:
            request = next(httpx.BasicAuth(*basic).auth_flow(request))
        return await self._ask(request)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _ask(self, request: httpx.Request) -> Any:  # noqa: ANN401  # JSON
        assert_no_transaction()
        request.headers["Accept"] = "application/json"
        # What is compressed may be larger than it looks.
        request.headers["Accept-Encoding"] = "identity"
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status, body = await self._send(request)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            raise UnreachableError(type(error).__name__) from None
        if 400 <= status < 500 and status != 429:  # noqa: PLR2004  # HTTP's own numbers
            raise RefusedError(str(status))
        if status != 200:  # noqa: PLR2004  # HTTP's own number
            raise UnreachableError(f"status {status}")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise UnreachableError("no JSON") from None

    async def _send(self, request: httpx.Request) -> tuple[int, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > BODY_MAX_BYTES:
                    raise UnreachableError("an answer that is too long")
            return response.status_code, bytes(body)
        finally:
            await response.aclose()


def may_ask(url: str, hosts: frozenset[str]) -> bool:
    """Say whether an address is one of `hosts` (host or host:port), over TLS or on this machine."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.lower()
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return is_safe and place in hosts and not parts.fragment and url.isprintable()
