"""Which pages may open a connection: those of the same server and those that are listed.

By its name a page is of the same server only if the name is listed: whoever owns some other name
may have it lead to this server after the page was loaded (DNS rebinding). Addresses cannot.
"""

import ipaddress
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def known_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return the configured origins as `is_allowed` compares them."""
    return frozenset(origin.rstrip("/").lower() for origin in origins)


def is_allowed(headers: Iterable[tuple[bytes, bytes]], allowed: Collection[str]) -> bool:
    """Judge the Origin of a request; native clients send none and need none.

    In what is allowed "*" stands for anything: `https://*.example.com`, or "*" for everybody.
    """
    origin = host = ""
    for name, value in headers:
        if name == b"origin":
            origin = value.decode("latin-1").lower()
        elif name == b"host":
            host = value.decode("latin-1").lower()
    return (
        not origin
        or origin in allowed
        or any("*" in item and fnmatchcase(origin, item) for item in allowed)
        or _is_same_server(origin, host)
    )


def _is_same_server(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin)
        server = urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(page.scheme)
        ports = (page.port or default, server.port or default)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    return (
        default is not None
        and page.hostname is not None
        and page.hostname == server.hostname
        and _is_address(page.hostname)
        and ports[0] == ports[1]
    )


def _is_address(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
