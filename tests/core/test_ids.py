"""Identifiers are UUIDv7: valid, unique, ordered by time."""

import re
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id, new_token


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_an_id_holds_the_milliseconds_version_and_variant(unix_ms: int, noise: bytes) -> None:
    with (
        patch("core.ids.time.time_ns", return_value=unix_ms * 1_000_000),
        patch("core.ids.os.urandom", return_value=noise),
    ):
        made = new_id()
    assert made.int >> 80 == unix_ms
    assert (made.version, made.variant) == (7, "specified in RFC 4122")


@given(
    st.integers(0, (1 << 48) - 2),
    st.integers(1, 1 << 20),
    st.binary(min_size=10, max_size=10),
    st.binary(min_size=10, max_size=10),
)
def test_a_later_id_sorts_after_an_earlier_one(
    unix_ms: int, later_ms: int, first_noise: bytes, second_noise: bytes
) -> None:
    later = min(unix_ms + later_ms, (1 << 48) - 1)
    with (
        patch("core.ids.time.time_ns", side_effect=[unix_ms * 10**6, later * 10**6]),
        patch("core.ids.os.urandom", side_effect=[first_noise, second_noise]),
    ):
        first, second = new_id(), new_id()
    assert (first < second) == (str(first) < str(second))
    assert first < second


def test_ids_of_one_moment_differ() -> None:
    with patch("core.ids.time.time_ns", return_value=1_700_000_000_000_000_000):
        assert len({new_id() for _ in range(10_000)}) == 10_000


def test_tokens_are_url_safe_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(1_000)}
    assert len(tokens) == 1_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
