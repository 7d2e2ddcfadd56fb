"""LRP against NXP's published vectors, and that it undoes itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import lrp
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("lrp")
keys = st.binary(min_size=16, max_size=16)


def nibbles(text: str) -> list[int]:
    return [int(digit, 16) for digit in text]


def padded(data: bytes) -> bytes:
    return (data + b"\x80").ljust(-(-(len(data) + 1) // 16) * 16, b"\0")


@pytest.mark.parametrize("vector", GOLDEN["plaintexts"])
def test_secret_plaintexts_are_those_of_an12304(vector):
    found = lrp.expand(bytes.fromhex(vector["key"])).plaintexts
    assert len(found) == 16
    for number, expected in vector["by_number"].items():
        assert found[int(number)].hex() == expected


@pytest.mark.parametrize("vector", GOLDEN["updated_keys"])
def test_updated_keys_are_those_of_an12304(vector):
    for number, expected in vector["by_number"].items():
        assert lrp.updated_key(bytes.fromhex(vector["key"]), int(number)).hex() == expected


@pytest.mark.parametrize("vector", GOLDEN["evaluations"]["vectors"], ids=lambda v: v["nibbles"])
def test_evaluations_are_those_of_an12304(vector):
    key = lrp.expand(bytes.fromhex(vector["key"]), vector["update"])
    found = lrp.evaluate(key, nibbles(vector["nibbles"]), final=vector["final"])
    assert found.hex() == vector["result"]


@pytest.mark.parametrize("vector", GOLDEN["lricb"]["vectors"], ids=lambda v: v["counter"])
def test_lricb_is_that_of_an12304_both_ways(vector):
    key, counter = lrp.expand(bytes.fromhex(vector["key"])), bytes.fromhex(vector["counter"])
    plaintext, ciphertext = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["ciphertext"])
    if vector["padded"]:
        plaintext = padded(plaintext)
    assert lrp.encrypt(key, counter, plaintext) == ciphertext
    assert lrp.decrypt(key, counter, ciphertext) == plaintext


@pytest.mark.parametrize("vector", GOLDEN["subkeys"]["vectors"], ids=lambda v: v["key"][:8])
def test_subkeys_are_those_of_an12304(vector):
    key = lrp.expand(bytes.fromhex(vector["key"]))
    first = lrp.double(lrp.evaluate(key, nibbles("00" * 16)))
    assert (first.hex(), lrp.double(first).hex()) == (vector["first"], vector["second"])


@pytest.mark.parametrize("vector", GOLDEN["cmac"]["vectors"], ids=lambda v: v["mac"][:8])
def test_cmac_is_that_of_an12304(vector):
    key = lrp.expand(bytes.fromhex(vector["key"]))
    assert lrp.cmac(key, bytes.fromhex(vector["message"])).hex() == vector["mac"]


@settings(max_examples=30)
@given(keys, st.binary(min_size=1, max_size=8), st.integers(min_value=1, max_value=3), st.data())
def test_what_is_encrypted_is_decrypted(raw, counter, blocks, data):
    key = lrp.expand(raw, 1)
    plaintext = data.draw(st.binary(min_size=16 * blocks, max_size=16 * blocks))
    assert lrp.decrypt(key, counter, lrp.encrypt(key, counter, plaintext)) == plaintext


@pytest.mark.parametrize("data", [b"", b"not whole blocks"[:-1]])
def test_lricb_takes_whole_blocks_only(data):
    key = lrp.expand(bytes(16))
    for use in (lrp.encrypt, lrp.decrypt):
        with pytest.raises(ValueError, match="whole blocks"):
            use(key, bytes(8), data)
