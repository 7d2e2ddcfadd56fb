"""The stored form of a publication, written by brokers and read for every format."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.broker import PublishRequest, encode_payload
from hub.realtime.protocol import payload
from hub.realtime.protocol.payload import DataFormat

json_texts = (
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    )
    .map(msgspec.json.encode)
    .map(bytes)
)


@given(
    json_texts | st.binary(max_size=30),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.integers(0, 2**62),
)
def test_what_a_broker_stores_is_read_back(data: bytes, tags: dict[str, str], time_ms: int):
    is_json = payload.is_json(data)
    stored = encode_payload(
        PublishRequest(channel="a", data=data, binary=not is_json, tags=tags, time_ms=time_ms)
    )
    read = payload.decode(stored)
    assert (read.tags, read.time) == (tags, time_ms)
    assert payload.is_binary(stored) == (not is_json)
    if is_json:
        assert msgspec.json.decode(read.content) == msgspec.json.decode(data)
    else:
        assert read.content == data


@given(json_texts)
def test_json_is_stored_byte_for_byte(data: bytes):
    stored = encode_payload(PublishRequest(channel="a", data=data, info=b'{"user":"","client":""}'))
    assert payload.decode(stored).content == data


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", {"binary"}),
        (b"\xff\x00", {"", "binary"}),
        (b'"\xff"', {"", "binary"}),
        (b"{", {"", "binary"}),
        (b"[" * 100_000, {"", "binary"}),
        (b"1", {"", "binary", "json"}),
        (b' {"a": 1}\n', {"", "binary", "json", "json_object"}),
    ],
)
def test_a_format_decides_what_clients_may_publish(data: bytes, wanted: set[DataFormat]):
    formats: tuple[Any, ...] = ("", "json", "json_object", "binary")
    assert {item for item in formats if payload.fits(data, item)} == wanted


@pytest.mark.parametrize("depth", [*range(300, 1100, 7), 5000])
def test_what_is_nested_near_the_end_of_a_parser_s_stack_is_no_json(depth: int):
    text = b"[" * depth + b"]" * depth

    def read_deeper(frames: int) -> None:
        if frames:
            return read_deeper(frames - 1)
        stored = encode_payload(PublishRequest(channel="a", data=text, tags={"a": "b"}))
        assert payload.decode(stored).content == text
        return None

    if payload.is_json(text):
        # Whoever reads it later may be called from deeper down than who let it in.
        read_deeper(300)
