"""Keys of tags: NXP's published example of AN10922, and that no two are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import sun_keys
from firmware_bridge.tap import cmac
from tests.firmware_bridge import vectors

MASTER = bytes(range(16))
UID, OTHER = bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("04a1b2c3d4e5f7")


@pytest.mark.parametrize("vector", vectors.load("sun")["an10922"], ids=lambda v: v["source"])
def test_diversified_keys_are_those_of_an10922(vector):
    key = sun_keys.diversify(
        bytes.fromhex(vector["master"]),
        bytes.fromhex(vector["uid"]),
        bytes.fromhex(vector["system_id"]),
    )
    assert key.hex() == vector["key"]


@given(st.binary(min_size=1, max_size=31), st.binary(min_size=1, max_size=31))
def test_diversified_keys_differ_with_their_input(one, other):
    assert (sun_keys.diversify(MASTER, b"", one) == sun_keys.diversify(MASTER, b"", other)) == (
        one == other
    )


@pytest.mark.parametrize("size", [0, 32])
def test_a_diversification_input_has_1_to_31_bytes(size):
    with pytest.raises(ValueError, match="1 to 31"):
        sun_keys.diversify(MASTER, bytes(size), b"")


@given(st.binary(min_size=1, max_size=31))
def test_diversification_pads_to_two_blocks_and_is_a_cmac_where_rfc_4493_agrees(message):
    key = sun_keys.diversify(MASTER, b"", message)
    # RFC 4493 would stop after one block; AN10922 always takes two.
    assert (key == cmac(MASTER, b"\x01" + message)) == (len(message) >= 16)


def test_all_keys_of_a_tag_differ_from_each_other_and_from_what_others_have():
    sets = [sun_keys.all_keys(MASTER, uid, mode) for uid in (UID, OTHER) for mode in ("aes", "lrp")]
    own = [key for keys in sets for number, key in enumerate(keys) if number != 2]
    assert len(set(own)) == len(own) == 16
    assert sun_keys.FACTORY_KEY not in {key for keys in sets for key in keys}


def test_the_meta_key_is_shared_within_a_mode_only():
    aes, lrp = (sun_keys.all_keys(MASTER, UID, mode)[2] for mode in ("aes", "lrp"))
    assert aes == sun_keys.all_keys(MASTER, OTHER, "aes")[2]
    assert aes != lrp


@pytest.mark.parametrize("mode", ["aes", "lrp"])
def test_the_keys_of_links_are_those_of_the_tag(mode):
    keys = sun_keys.tag_keys(MASTER, UID, mode)
    assert (keys.file, keys.meta) == sun_keys.all_keys(MASTER, UID, mode)[1:3]
