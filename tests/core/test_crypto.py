"""Sealed values open only where they belong; blind indexes and token hashes do not collide."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto import (
    KEY_BYTES,
    DecryptionError,
    FieldCipher,
    KeyRing,
    blind_index,
    parse_key,
    token_hash,
)

CIPHER = FieldCipher(KeyRing({1: bytes(KEY_BYTES), 2: b"\x01" * KEY_BYTES}))
ROW = b"row-0001"


@given(st.binary(max_size=300), st.text(max_size=40), st.binary(max_size=16))
def test_what_is_sealed_opens_to_the_same(plaintext: bytes, column: str, row: bytes) -> None:
    column = column.replace("\0", "")
    sealed = CIPHER.seal(plaintext, column=column, row=row)
    assert CIPHER.open(sealed, column=column, row=row) == plaintext


@given(st.binary(min_size=1, max_size=60), st.data())
def test_every_flipped_bit_is_noticed(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(CIPHER.seal(plaintext, column="users.email", row=ROW))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError):
        CIPHER.open(bytes(sealed), column="users.email", row=ROW)


@pytest.mark.req("SEC-01")
@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_value_moved_to_another_row_or_column_does_not_open(one: bytes, other: bytes) -> None:
    sealed = CIPHER.seal(b"secret", column="users.email", row=one)
    if one != other:
        with pytest.raises(DecryptionError):
            CIPHER.open(sealed, column="users.email", row=other)
    with pytest.raises(DecryptionError):
        CIPHER.open(sealed, column="users.phone", row=one)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_without_another_error(noise: bytes) -> None:
    with pytest.raises(DecryptionError):
        CIPHER.open(noise, column="users.email", row=ROW)


def test_the_same_text_is_never_sealed_the_same_way() -> None:
    assert len({CIPHER.seal(b"x", column="c", row=ROW) for _ in range(1_000)}) == 1_000


def test_the_plaintext_is_not_inside() -> None:
    assert b"ada@example.org" not in CIPHER.seal(b"ada@example.org", column="c", row=ROW)


def test_keys_rotate_without_losing_old_values() -> None:
    old, new = os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)
    sealed = FieldCipher(KeyRing({1: old})).seal(b"x", column="c", row=ROW)
    both = FieldCipher(KeyRing({1: old, 2: new}))
    assert both.open(sealed, column="c", row=ROW) == b"x"
    resealed = both.seal(b"x", column="c", row=ROW)
    assert FieldCipher(KeyRing({2: new})).open(resealed, column="c", row=ROW) == b"x"
    with pytest.raises(DecryptionError, match="key 1"):
        FieldCipher(KeyRing({2: new})).open(sealed, column="c", row=ROW)


def test_a_key_of_the_same_number_but_other_bytes_does_not_open() -> None:
    sealed = FieldCipher(KeyRing({1: os.urandom(KEY_BYTES)})).seal(b"x", column="c", row=ROW)
    with pytest.raises(DecryptionError):
        FieldCipher(KeyRing({1: os.urandom(KEY_BYTES)})).open(sealed, column="c", row=ROW)


@given(
    st.dictionaries(
        st.integers(0, 255),
        st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
        min_size=1,
        max_size=5,
    )
)
def test_a_key_ring_reads_what_the_settings_hold(keys: dict[int, bytes]) -> None:
    text = ",".join(f"{n}:{base64.b64encode(key).decode()}" for n, key in keys.items())
    ring = KeyRing.parse(text)
    assert ring.current == max(keys)
    assert all(ring.key(number) == key for number, key in keys.items())
    assert not any(base64.b64encode(key).decode() in repr(ring) for key in keys.values())


@pytest.mark.parametrize(
    "text",
    ["", ",", "1:", "1:AAAA", "x:" + "A" * 44, "1:not base64!", "256:" + "A" * 43 + "=", "A" * 44],
)
def test_a_broken_key_ring_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        KeyRing.parse(text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_blind_index_depends_on_key_kind_and_value(one: str, other: str) -> None:
    assert blind_index(b"k" * 32, "email", one) == blind_index(b"k" * 32, "email", one)
    assert (one == other) == (
        blind_index(b"k" * 32, "email", one) == blind_index(b"k" * 32, "email", other)
    )
    assert blind_index(b"k" * 32, "email", one) != blind_index(b"k" * 32, "phone", one)
    assert blind_index(b"k" * 32, "email", one) != blind_index(b"l" * 32, "email", one)


def test_a_token_hash_is_the_plain_sha256() -> None:
    assert token_hash("abc").hex().startswith("ba7816bf8f01cfea")


@given(st.binary(min_size=16, max_size=16))
def test_a_key_is_read_as_hex_and_as_base64(key: bytes) -> None:
    assert parse_key(key.hex(), 16) == key
    assert parse_key(base64.b64encode(key).decode(), 16) == key


@pytest.mark.parametrize(
    "text", ["", "hush", "00" * 15, "00" * 17, base64.b64encode(bytes(15)).decode()]
)
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not 16 bytes as hex or base64$"):
        parse_key(text, 16)


def test_a_value_sealed_by_an_earlier_release_opens() -> None:
    sealed = bytes.fromhex(
        "010230df1500c703a50373a8754268b41d1d56b016e9e244cdc0ea646bf7f9c2f10a6cec6491afec0bd25fffa6"
    )
    row = bytes(range(16))
    assert CIPHER.open(sealed, column="users.email", row=row) == b"ada@example.org"
