"""Every HTTP request that the hub makes: where it may go, and how much of anybody's it may take.

A host is resolved once per connection, every address that it has is judged, and the connection
goes to one of those, so what was judged is what is asked (no DNS rebinding). TLS and the Host
header keep the name. Nothing is taken from the environment, neither proxy nor .netrc. Answers are
not decompressed.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Literal, cast
from urllib.parse import urljoin

import httpcore
import msgspec
from prometheus_client import Counter

from hub.providers import outgoing_rules
from hub.providers.outgoing_rules import AddressError, Target

DEADLINE_SECONDS: Final = 5.0
BODY_MAX_BYTES: Final = 262_144
CONNECTIONS_MAX: Final = 16
_ADDRESSES_MAX: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# All else may be a secret that is meant for one place.
_HARMLESS_HEADERS: Final = frozenset({"accept", "accept-language", "user-agent"})

# The library has a stand-in of the same name for where anyio is missing.
_AsyncioBackend: Final = cast("type[httpcore.AsyncNetworkBackend]", httpcore.AnyIOBackend)

Reason = Literal["address", "redirects", "too_long", "encoded", "too_slow", "unreachable"]
Resolve = Callable[[str, int], Awaitable[list[str]]]
_FAILED = Counter(
    "pinghub_outgoing_failed", "Outgoing HTTP requests without an answer.", ["reason"]
)


class OutgoingError(Exception):
    """There is no answer; the message quotes nothing of address or answer."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Reason = reason


class Answer(msgspec.Struct, frozen=True):
    """What a server said; names of headers are in lower case, of equal ones the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes


@functools.cache
def _trust_of_the_machine() -> ssl.SSLContext:
    """Read its certificates, once: some 25 ms of work."""
    return ssl.create_default_context()


class Outgoing:
    """A client for one purpose; the two kinds of reach never mix.

    `"public"`: addresses that users bring. Any host whose addresses all belong to the Internet, on
    ports 80 and 443.
    Hosts (`host` or `host:port`): places that the settings name, an identity provider or a Vault.
    Trusted to be inside; nothing else is asked, so no user's address leads to them.
    """

    def __init__(
        self,
        reach: Literal["public"] | Iterable[str],
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        body_max_bytes: int = BODY_MAX_BYTES,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._hosts = None if reach == "public" else frozenset(map(str.lower, reach))
        self._deadline_seconds = deadline_seconds
        self._body_max_bytes = body_max_bytes
        # Every request has a connection of its own, judged for it.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or _trust_of_the_machine(),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=0,
            network_backend=_Judged(
                resolve or system_resolve,
                backend or _AsyncioBackend(),
                allows_private=self._hosts is not None,
            ),
        )

    async def send(
        self,
        method: Literal["GET", "HEAD", "POST"],
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        redirects_max: int = 0,
    ) -> Answer:
        """Return the answer whatever its status, or raise OutgoingError within the deadline.

        Redirects are followed for GET and HEAD; each is judged like a first address, none leads
        from https to http, and another origin is told nothing but harmless headers.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._follow(method, url, dict(headers or {}), content, redirects_max)
        except OutgoingError as error:
            failure = error
        except AddressError as error:
            failure = OutgoingError("address", str(error))
        except TimeoutError:
            failure = OutgoingError("too_slow")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            # ValueError: a header that no request can have.
            failure = OutgoingError("unreachable", type(error).__name__)
        _FAILED.labels(failure.reason).inc()
        raise failure from None

    async def close(self) -> None:
        """End what is under way."""
        await self._pool.aclose()

    async def _follow(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, redirects: int
    ) -> Answer:
        target = self._judge(outgoing_rules.read(url))
        is_followed = redirects > 0 and method in ("GET", "HEAD")
        while True:
            answer = await self._ask(method, target, headers, content)
            place = answer.headers.get("location", "")
            if not is_followed or answer.status not in _REDIRECTS or not place:
                return answer
            if redirects == 0:
                raise OutgoingError("redirects")
            redirects -= 1
            here = target.origin + target.path
            following = self._judge(outgoing_rules.read(urljoin(here, place).partition("#")[0]))
            if target.scheme == "https" != following.scheme:
                raise AddressError("a redirect out of TLS")
            if following.origin != target.origin:
                headers = {
                    name: text
                    for name, text in headers.items()
                    if name.lower() in _HARMLESS_HEADERS
                }
            target = following

    def _judge(self, target: Target) -> Target:
        if self._hosts is not None:
            if self._hosts.isdisjoint((target.place, f"{target.host}:{target.port}")):
                raise AddressError("a host that the settings do not name")
        elif target.port not in outgoing_rules.PORTS.values():
            raise AddressError("a port of something else")
        return target

    async def _ask(
        self, method: str, target: Target, headers: dict[str, str], content: bytes | None
    ) -> Answer:
        sent = {
            **headers,
            "Host": target.place,
            # What is compressed is larger than it looks.
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        encoded = [(name.encode("ascii"), text.encode("latin-1")) for name, text in sent.items()]
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        async with self._pool.stream(method, url, headers=encoded, content=content) as response:
            told = {
                name.decode("latin-1").lower(): text.decode("latin-1")
                for name, text in response.headers
            }
            if told.get("content-encoding", "identity").strip().lower() != "identity":
                raise OutgoingError("encoded")
            body = bytearray()
            async for part in response.aiter_stream():
                body += part
                if len(body) > self._body_max_bytes:
                    raise OutgoingError("too_long")
            return Answer(response.status, told, bytes(body))


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, never to a name."""

    def __init__(
        self, resolve: Resolve, backend: httpcore.AsyncNetworkBackend, *, allows_private: bool
    ) -> None:
        self._resolve = resolve
        self._backend = backend
        self._allows_private = allows_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = [host] if _is_address(host) else await self._resolve(host, port)
        # One address inside is enough to refuse: its owner chose what the name leads to.
        if not self._allows_private and not all(map(outgoing_rules.is_public, addresses)):
            raise AddressError("an address that is not the Internet's")
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses[:_ADDRESSES_MAX]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


async def system_resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name as this machine's resolver knows them."""
    loop = asyncio.get_running_loop()
    found: list[Any] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_address(host: str) -> bool:
    # Hosts come from `outgoing_rules.read`, where a name never ends in a number.
    return ":" in host or host.rpartition(".")[2].isdecimal()
