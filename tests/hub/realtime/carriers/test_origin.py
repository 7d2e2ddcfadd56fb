"""Pages of which origins may connect."""

import pytest

from hub.realtime.carriers.origin import is_allowed, known_origins


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ("https://app.example", "https://app.example", True),
        ("https://app.example/", "https://APP.example", True),
        ("https://app.example", "https://app.example.evil", False),
        ("https://app.example", "http://app.example", False),
        ("https://*.example", "https://a.b.example", True),
        ("https://*.example", "https://example", False),
        ("https://*.example", "https://a.example:8443", False),
        ("https://?.example", "https://a.example", False),
        ("*", "https://anybody", True),
        ("", "https://anybody", False),
        ("", "http://hub.example:8000", False),
        ("http://hub.example:8000", "http://hub.example:8000", True),
    ],
)
def test_origins_are_compared_whole_and_a_star_stands_for_anything(
    allowed: str, origin: str, expected: bool
):
    headers = [(b"host", b"hub.example:8000"), (b"origin", origin.encode())]
    assert is_allowed(headers, known_origins([allowed])) == expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("192.168.1.5", "https://192.168.1.5", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("localhost:8000", "http://localhost:8000", True),
        ("127.0.0.1:8000", "http://127.0.0.1:9000", False),
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("evil.example:8000", "http://evil.example:8000", False),
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", False),
        ("127.0.0.1:8000", "null", False),
    ],
)
def test_the_server_s_own_pages_are_known_by_an_address_that_no_name_can_be_made_to_lead_to(
    host: str, origin: str, expected: bool
):
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    assert is_allowed(headers, known_origins([])) == expected


def test_clients_that_are_no_page_send_no_origin():
    assert is_allowed([(b"host", b"hub.example")], known_origins([]))
