"""Which addresses the hub may ask: how a URL is read, and which IP addresses are the public's.

Two programs that read one URL differently are how a check is passed and something else is asked, so
only one spelling of each address is taken and everything doubtful is refused.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal
from urllib.parse import quote, urlsplit

import msgspec

URL_MAX_CHARS: Final = 2048
PORTS: Final = {"http": 80, "https": 443}

# With underscores, which names inside of container networks have.
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NAME_MAX_CHARS: Final = 253
# What inet_aton takes for an IPv4 address: 127.1, 2130706433, 0x7f.1, 0177.0.0.1.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_TARGET_SAFE: Final = "/?%:@!$&'()*+,;=~-._[]"

# IANA's IPv4 Special-Purpose Address Registry, and multicast. Written out: what the standard
# library calls global has changed between releases, and includes multicast.
_IPV4_SPECIAL: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, which hands out a machine's secrets
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_IPV6_GLOBAL: Final = IPv6Network("2000::/3")
_IPV6_SPECIAL: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo and others, which carry IPv4 inside
        "2001:db8::/32",
        "2002::/16",  # 6to4, the same
        "3fff::/20",
    )
)
# The only way to IPv4 from a network that has IPv6 alone (RFC 6052); judged by what it leads to.
_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressError(ValueError):
    """An address that is not asked; the message quotes nothing of it."""


class Target(msgspec.Struct, frozen=True):
    """Where a request goes; `host` is a name in lower case or an IP address without brackets."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    """With the query, as it stands in a request line."""

    @property
    def place(self) -> str:
        """The host, and the port where it is not the scheme's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The scheme and the place (RFC 6454)."""
        return f"{self.scheme}://{self.place}"

    @property
    def is_protected(self) -> bool:
        """Whether nobody on the way changes what is answered: TLS, or it stays on this machine."""
        return self.scheme == "https" or self.host == "localhost" or _is_loopback(self.host)


def read(url: str) -> Target:
    """Return where an http or https address leads, or raise AddressError."""
    if len(url) > URL_MAX_CHARS or not url.isprintable() or " " in url or "\\" in url:
        raise AddressError("characters that no address has, or too many")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError("no address") from None
    scheme = parts.scheme
    if scheme not in ("http", "https"):
        raise AddressError("neither http nor https")
    if "@" in parts.netloc:
        raise AddressError("a user name")
    if port == 0 or parts.netloc.endswith(":"):
        raise AddressError("no port")
    host = read_host(parts.hostname or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, host, port or PORTS[scheme], quote(path, safe=_TARGET_SAFE))


def read_host(host: str) -> str:
    """Return a host in its one spelling, or raise AddressError: an ASCII name or an IP address."""
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise AddressError("no IPv6 address") from None
        if address.scope_id is not None:
            raise AddressError("an address with a zone")
        return str(address)
    try:
        # Also what digits of other scripts and full-width dots stand for.
        name = host.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        raise AddressError("no host") from None
    if _ENDS_IN_NUMBER.fullmatch(name):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise AddressError("an IPv4 address in disguise") from None
    if len(name) > _NAME_MAX_CHARS or not _NAME.fullmatch(name):
        raise AddressError("no host")
    return name


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Say whether an IP address is reached over the Internet and belongs to nobody's inside."""
    if ":" not in address:
        try:
            ipv4 = IPv4Address(address)
        except ValueError:
            return False
        return not any(ipv4 in network for network in _IPV4_SPECIAL)
    try:
        ipv6 = IPv6Address(address)
    except ValueError:
        return False
    if ipv6.scope_id is not None:
        return False
    if ipv6 in _NAT64:
        return is_public(str(IPv4Address(ipv6.packed[-4:])))
    return ipv6 in _IPV6_GLOBAL and not any(ipv6 in network for network in _IPV6_SPECIAL)
