"""One spelling of each address, and no address of anybody's inside."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.providers.outgoing_rules import AddressError, is_public, read

SPECIAL = [
    *(
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.254",
        "127.0.0.1",
        "127.255.0.1",
    ),
    *("169.254.169.254", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *(
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "fe80::1",
        "fec0::1",
        "fc00::1",
    ),
    *("fd00:ec2::254", "ff02::1", "100::1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "3fff::1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "5f00::1"),
    *("fe80::1%lo", "2606:4700::1111%lo", "example.com", "127.1", "0177.0.0.1", ""),
]


@pytest.mark.parametrize("address", SPECIAL)
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"]
)
def test_the_internet_is(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_inside_of_an_ipv6_address_is_never_a_way_in(number: int) -> None:
    for prefix in (0, 0xFFFF << 32, 0x0064_FF9B << 96, 0x2002 << 112):
        shift = 80 if prefix == 0x2002 << 112 else 0
        address = str(ipaddress.IPv6Address(prefix | number << shift))
        assert not is_public(address) or is_public(str(ipaddress.IPv4Address(number)))


@pytest.mark.parametrize(
    "url",
    [
        *("", "/path", "example.com", "//example.com/", "http://", "http:///x", "http:x"),
        *("gopher://example.com/", "file:///etc/passwd", "ftp://example.com/", "data:,x"),
        *(
            "javascript:alert(1)",
            "http+unix://x/",
            "HTTPX://example.com/",
            "dict://127.0.0.1:6379/",
        ),
        *("http://2130706433/", "http://0177.0.0.1/", "http://0x7f.0.0.1/", "http://127.1/"),
        *("http://0x7f000001/", "http://017700000001/", "http://127.0.0.1.:/", "http://1.2.3.4.5/"),
        *(
            "http://[::1%25lo]/",
            "http://[fe80::1%251]/",
            "http://[::1/",
            "http://::1/",
            "http://[]/",
        ),
        *("http://user@example.com/", "http://u:p@example.com/", "http://example.com@127.0.0.1/"),
        *("http://example.com\\@127.0.0.1/", "http://example.com/ x", "http://exa\nmple.com/"),
        *("http://example.com\t/", "http://example.com:0/", "http://example.com:/", "http://a..b/"),
        *("http://example.com:65536/", "http://example.com:x/", "http://-a.example/", "http://a-/"),
        *("http://ex%61mple.com/", "http://exa mple.com/", "http://*.example/", "http://a,b/"),
        *("http://" + "a" * 64 + ".example/", "http://" + "a." * 127 + "example/"),
        "http://example.com/" + "x" * 2048,
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(url: str) -> None:
    with pytest.raises(AddressError) as refusal:
        read(url)
    assert not url or url not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://example.com", "http://example.com", "/"),
        ("HTTPS://Example.COM.:443/a?b=c#d", "https://example.com", "/a?b=c"),
        ("https://example.com:8443/", "https://example.com:8443", "/"),
        ("http://8.8.8.8/", "http://8.8.8.8", "/"),
        ("http://[2606:4700::0:1111]:80/", "http://[2606:4700::1111]", "/"),
        (
            "https://münchen.example/ü?ß=%C3%9F",
            "https://xn--mnchen-3ya.example",
            "/%C3%BC?%C3%9F=%C3%9F",
        ),
        ("http://１２７．０．０．１/", "http://127.0.0.1", "/"),  # noqa: RUF001  # full-width on purpose
        ("http://127。0。0。1/", "http://127.0.0.1", "/"),
        ("http://a_b.example/", "http://a_b.example", "/"),
        ("http://hub_vault:8200/", "http://hub_vault:8200", "/"),
    ],
)
def test_an_address_has_one_spelling(url: str, origin: str, path: str) -> None:
    target = read(url)
    assert (target.origin, target.path) == (origin, path)
    assert read(target.origin + target.path) == target
