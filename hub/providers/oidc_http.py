"""Requests to identity providers: to hosts that an operator named, small, short, not redirected."""

import base64
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from core.db import assert_no_transaction
from hub.providers.outgoing import Outgoing, OutgoingError

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class UnreachableError(Exception):
    """The provider gave no usable answer; the message quotes nothing of what it said."""


class RefusedError(Exception):
    """The provider has refused the request (a status of 400 to 499)."""


class ProviderHttp:
    """Speaks to one provider's hosts and to nobody else."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts
        self._outgoing = Outgoing(hosts)

    def check(self, url: str) -> str:
        """Return an address that may be asked, or raise UnreachableError."""
        if not may_ask(url, self._hosts):
            raise UnreachableError("an address beyond the configured hosts")
        return url

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  # JSON
        """Return the JSON document at an address."""
        return await self._ask("GET", self.check(url), headers or {})

    async def post(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> Any:  # noqa: ANN401  # JSON
        """Send a form and return the JSON answer."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if basic is not None:
            secret = base64.b64encode(":".join(basic).encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        return await self._ask("POST", self.check(url), headers, urlencode(form).encode())

    async def close(self) -> None:
        """Give the connections back."""
        await self._outgoing.close()

    async def _ask(
        self,
        method: Literal["GET", "POST"],
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
    ) -> Any:  # noqa: ANN401  # JSON
        assert_no_transaction()
        sent = {**headers, "Accept": "application/json"}
        try:
            answer = await self._outgoing.send(method, url, headers=sent, content=content)
        except OutgoingError as error:
            raise UnreachableError(str(error)) from None
        if 400 <= answer.status < 500 and answer.status != 429:  # noqa: PLR2004  # HTTP's own numbers
            raise RefusedError(str(answer.status))
        if answer.status != 200:  # noqa: PLR2004  # HTTP's own number
            raise UnreachableError(f"status {answer.status}")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise UnreachableError("no JSON") from None


def may_ask(url: str, hosts: frozenset[str]) -> bool:
    """Say whether an address is one of `hosts` (host or host:port), over TLS or on this machine."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.lower()
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return is_safe and place in hosts and not parts.fragment and url.isprintable()
