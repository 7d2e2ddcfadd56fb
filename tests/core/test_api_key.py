"""The text of API keys: unguessable, recognised by shape and checksum."""

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import api_key

# The checksum is CRC-32 in base62, worked out by hand: zlib.crc32(text without it) = 3047563829.
KNOWN = "ping_abcdefghij27_" + "0" * 42 + "1"


def test_a_key_says_its_prefix_and_is_kept_as_a_hash_only() -> None:
    text, kept = api_key.generate()
    assert re.fullmatch(r"ping_[a-z2-7]{12}_[0-9A-Za-z]{49}", text)
    assert text.split("_")[1] == kept.prefix
    assert kept.secret_hash == hashlib.sha256(text.encode()).digest()
    assert api_key.read(text) == kept


def test_no_two_keys_share_a_prefix_or_a_secret() -> None:
    texts = [api_key.generate()[0].split("_") for _ in range(500)]
    assert len({prefix for _, prefix, _ in texts}) == 500
    assert len({secret for _, _, secret in texts}) == 500


def test_the_checksum_is_the_crc_32_of_what_precedes_it() -> None:
    # As anybody's scanner computes it, digit by digit.
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, digits = zlib.crc32(KNOWN.encode()), ""
    while number:
        digits, number = alphabet[number % 62] + digits, number // 62
    assert api_key.read(KNOWN + digits.rjust(6, "0")).prefix == "abcdefghij27"


@given(st.data())
def test_a_slip_in_any_place_is_noticed(data: st.DataObject) -> None:
    text, _ = api_key.generate()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != text[place]))
    with pytest.raises(api_key.KeyFormatError):
        api_key.read(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=90))
def test_other_text_is_no_key(text: str) -> None:
    with pytest.raises(api_key.KeyFormatError):
        api_key.read(text)


@pytest.mark.parametrize("change", ["{}\n", " {}", "{}x", "{}, {}", "PING{}"])
def test_what_surrounds_a_key_makes_it_none(change: str) -> None:
    text, _ = api_key.generate()
    with pytest.raises(api_key.KeyFormatError):
        api_key.read(change.format(text, text))


@given(st.integers(0, 2**256 - 1))
def test_43_digits_hold_256_bits(number: int) -> None:
    digits = api_key._base62(number, api_key.SECRET_CHARS)
    back = 0
    for digit in digits:
        back = back * 62 + api_key._BASE62.index(digit)
    assert (len(digits), back) == (43, number)
