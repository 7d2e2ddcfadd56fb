"""Bodies are read in one way, or refused by a documented problem."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError
from hub.http.strict_json import DEPTH_MAX, check
from tests.fixtures.app import User

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text('ab"\\[{]}:', max_size=4), children, max_size=4)
    ),
    max_leaves=40,
)


@given(JSON)
def test_whatever_an_encoder_writes_is_taken(value: Any) -> None:
    check(json.dumps(value).encode())
    check(json.dumps(value, ensure_ascii=False, indent=1).encode())


@given(st.integers(DEPTH_MAX - 3, DEPTH_MAX + 3), JSON)
def test_depth_is_counted_exactly(depth: int, beside: Any) -> None:
    text = json.dumps(['"[[[["', "]]{{\\", "shallow"])
    for level in range(depth - 1):
        text = f"[{text}, []]" if level % 2 else f'{{"a": {text}, "b": {{}}}}'
    assert is_refused(text.encode()) is (depth > DEPTH_MAX)
    check(json.dumps({"beside": beside, "more": [[]] * 100}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"a":1,"a":1}}]',
        b'{"a":1,"b":2',
        b'{"a":1,"b":"\xff"}',
        b"[" * 100_000,
        b'{"a":"' + b"[" * 100 + b'\\"' * 50_000,
        b'{"a":1,"b":' + b"9" * 100_000 + b"}",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    assert is_refused(body)


# Which bodies, which code. `request.invalid` names the field, `request.malformed` is no JSON.
HOSTILE: list[tuple[bytes, int, str]] = [
    (b'{"bio":"x","bio":"y"}', 400, "request.malformed"),
    (b'{"bio":NaN}', 400, "request.malformed"),
    (b'{"bio":Infinity}', 400, "request.malformed"),
    (b'{"bio":1e999}', 400, "request.malformed"),
    (b'{"bio":' + b"9" * 4000 + b"}", 422, "request.invalid"),
    (b'{"bio":' + b"9" * 5000 + b',"full_name":"x"}', 400, "request.malformed"),
    (b'{"bio":-0.0}', 422, "request.invalid"),
    (b'{"bio":"\\u0000"}', 422, "request.invalid"),
    (b'{"bio":"\x00"}', 400, "request.malformed"),
    (b'{"bio":"\xff"}', 400, "request.malformed"),
    (b'{"bio":"\\ud800"}', 400, "request.malformed"),
    (b'\xef\xbb\xbf{"bio":"x"}', 400, "request.malformed"),
    ('{"bio":"x"}'.encode("utf-16"), 400, "request.malformed"),
    (b'{"bio":"x"}{"bio":"y"}', 400, "request.malformed"),
    (b"{'bio':'x'}", 400, "request.malformed"),
    (b'{"bio":"x",}', 400, "request.malformed"),
    (b'{"bio":' + b"[" * 20 + b"]" * 20 + b"}", 422, "request.invalid"),
    (b'{"bio":' + b"[" * 32 + b"]" * 32 + b"}", 400, "request.malformed"),
    (b'{"other":' + b"{" * 900, 400, "request.malformed"),
    (b'{"bio":"' + b"x" * 1001 + b'"}', 422, "request.invalid"),
    (b'{"__proto__":{}}', 422, "request.invalid"),
    (b"true", 422, "request.invalid"),
    (b'"bio"', 422, "request.invalid"),
]


async def test_no_body_is_a_server_error(ada: User) -> None:
    json_type = {"Content-Type": "application/json"}
    before = (await ada.client.get("/v1/me")).content
    for body, status, code in HOSTILE:
        answer = await ada.client.patch("/v1/me", content=body, headers=json_type)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body[:80]
        assert answer.json()["docs_url"].endswith(f"/errors#{code}")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert (await ada.client.get("/v1/me")).content == before


async def test_only_json_in_utf_8_is_read(ada: User) -> None:
    for headers, status in [
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": 'Application/JSON; Charset="UTF-8"'}, 200),
        ({"Content-Type": "application/json; profile=x"}, 200),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Type": "application/json; charset=utf-8; charset=utf-7"}, 415),
        ({"Content-Type": "application/jsonp"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    ]:
        answer = await ada.client.patch("/v1/me", content=b'{"bio":"x"}', headers=headers)
        assert answer.status_code == status, headers
        if status == 415:
            assert answer.json()["code"] == "request.media_type"


def is_refused(body: bytes) -> bool:
    try:
        check(body)
    except DomainError as refusal:
        return refusal.code == "request.malformed"
    return False
