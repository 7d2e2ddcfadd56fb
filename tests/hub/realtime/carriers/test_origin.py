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
        ("", "http://hub.example:8000", True),
    ],
)
def test_origins_are_compared_whole_and_a_star_stands_for_anything(
    allowed: str, origin: str, expected: bool
):
    headers = [(b"host", b"hub.example:8000"), (b"origin", origin.encode())]
    assert is_allowed(headers, known_origins([allowed])) == expected


def test_clients_that_are_no_page_send_no_origin():
    assert is_allowed([(b"host", b"hub.example")], known_origins([]))
