"""Rotating identifiers: published vectors of the construction, and what their key reads in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import eid
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("eid")
ids = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize("name", ["exposure_notification", "ours"])
def test_identifiers_are_those_of_the_vectors(name):
    golden = GOLDEN[name]
    labels = eid.Labels(*(golden["labels"][part].encode() for part in ("key", "block")))
    key = eid.derive(bytes.fromhex(golden["root_key"]), labels)
    assert key.hex() == golden["identifier_key"]
    for window, expected in golden["identifiers"].items():
        assert eid.eid(key, int(window), labels).hex() == expected
        assert eid.open_eid(key, bytes.fromhex(expected), labels) == int(window)


def test_the_vectors_of_ours_have_our_labels():
    labels = GOLDEN["ours"]["labels"]
    assert eid.Labels(labels["key"].encode(), labels["block"].encode()) == eid.PING


@given(ids, st.integers(min_value=0, max_value=2**32 - 1))
def test_an_identifier_says_its_window_to_its_key_only(key, window):
    shown = eid.eid(key, window)
    assert eid.open_eid(key, shown) == window
    assert eid.open_eid(bytes(byte ^ 1 for byte in key), shown) is None


@pytest.mark.parametrize("window", [-1, 2**32])
def test_a_window_is_a_u32(window):
    with pytest.raises(ValueError, match="u32"):
        eid.eid(bytes(16), window)
