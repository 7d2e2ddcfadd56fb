"""The JSON framing against frames captured from the original implementation, and by round trips."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime import codes
from hub.realtime.broker import Publication
from hub.realtime.protocol import payload
from hub.realtime.protocol.framing import COMMANDS_MAX, MalformedFrameError
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import (
    METHODS,
    Command,
    ConnectResult,
    HistoryResult,
    PublishResult,
    Push,
    PushReply,
    Reply,
    RpcResult,
    SubscribeResult,
    UnsubscribePush,
    error_reply,
)

CLIENT = "f3abc452-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("frame", "method", "fields"),
    [
        ('{"id":1,"connect":{"name":"js"}}', "connect", {"name": "js"}),
        (
            '{"id":7,"subscribe":{"channel":"recovery:a","recover":true,"offset":1,"epoch":"zzzz"}}',
            "subscribe",
            {"channel": "recovery:a", "recover": True, "offset": 1, "epoch": "zzzz"},
        ),
        (
            '{"id":5,"history":{"channel":"recovery:a","limit":1,"since":{"offset":1,"epoch":""}}}',
            "history",
            {"channel": "recovery:a", "limit": 1},
        ),
        ('{"id":10,"presence":{"channel":"a"}}', "presence", {"channel": "a"}),
        ('{"id":11,"presence_stats":{"channel":"a"}}', "presence_stats", {"channel": "a"}),
        ('{"id":12,"rpc":{"method":"m","data":{"x": 1}}}', "rpc", {"method": "m"}),
        ('{"send":{"data":[1]}}', "send", {}),
        ('{"id":3,"refresh":{"token":"t"}}', "refresh", {"token": "t"}),
        ('{"id":3,"sub_refresh":{"channel":"c","token":"t"}}', "sub_refresh", {"channel": "c"}),
        ('{"id":3,"unsubscribe":{"channel":"c"}}', "unsubscribe", {"channel": "c"}),
    ],
)
def test_captured_commands_are_understood(frame: str, method: str, fields: dict[str, Any]):
    (command,) = JSON.decode_commands(frame)
    assert command.method == method
    request = getattr(command, method)
    assert {name: getattr(request, name) for name in fields} == fields


def test_one_frame_carries_several_commands_in_order():
    first, second = JSON.decode_commands(
        '{"id":2,"subscribe":{"channel":"recovery:a"}}\n{"id":3,"subscribe":{"channel":"nope:x"}}\n'
    )
    assert (first.id, second.id) == (2, 3)


@pytest.mark.parametrize(
    ("reply", "captured"),
    [
        (
            Reply(id=1, connect=ConnectResult(client=CLIENT, ping=25, pong=True)),
            f'{{"id":1,"connect":{{"client":"{CLIENT}","ping":25,"pong":true}}}}',
        ),
        (
            Reply(
                id=2,
                subscribe=SubscribeResult(recoverable=True, epoch="aBilBsfx", positioned=True),
            ),
            '{"id":2,"subscribe":{"recoverable":true,"epoch":"aBilBsfx","positioned":true}}',
        ),
        (
            error_reply(3, codes.UNKNOWN_CHANNEL),
            '{"id":3,"error":{"code":102,"message":"unknown channel"}}',
        ),
        (
            error_reply(12, codes.NOT_AVAILABLE),
            '{"id":12,"error":{"code":108,"message":"not available"}}',
        ),
        (
            error_reply(15, codes.ALREADY_SUBSCRIBED),
            '{"id":15,"error":{"code":105,"message":"already subscribed"}}',
        ),
        (Reply(id=4, publish=PublishResult()), '{"id":4,"publish":{}}'),
        (
            Reply(
                id=7,
                subscribe=SubscribeResult(
                    recoverable=True,
                    epoch="aBilBsfx",
                    offset=2,
                    positioned=True,
                    was_recovering=True,
                ),
            ),
            (
                '{"id":7,"subscribe":{"recoverable":true,"epoch":"aBilBsfx","offset":2,'
                '"positioned":true,"was_recovering":true}}'
            ),
        ),
        (
            Reply(
                id=9,
                subscribe=SubscribeResult(
                    recoverable=True,
                    epoch="aBilBsfx",
                    publications=[
                        JSON.publication(Publication(b'{"data":{"n": 1}}', 1)),
                        JSON.publication(Publication(b'{"data":{"n":2}}', 2)),
                    ],
                    recovered=True,
                    positioned=True,
                    was_recovering=True,
                ),
            ),
            (
                '{"id":9,"subscribe":{"recoverable":true,"epoch":"aBilBsfx","publications":'
                '[{"data":{"n": 1},"offset":1},{"data":{"n":2},"offset":2}],"recovered":true,'
                '"positioned":true,"was_recovering":true}}'
            ),
        ),
        (
            Reply(
                id=5,
                history=HistoryResult(
                    publications=[
                        JSON.publication(
                            Publication(b'{"data":{"n":2},"info":{"user":"","client":"f"}}', 2)
                        )
                    ],
                    epoch="aBilBsfx",
                    offset=2,
                ),
            ),
            (
                '{"id":5,"history":{"publications":[{"data":{"n":2},"info":{"user":"","client":"f"},'
                '"offset":2}],"epoch":"aBilBsfx","offset":2}}'
            ),
        ),
    ],
)
def test_replies_are_the_captured_bytes(reply: Reply, captured: str):
    assert JSON.encode_reply(reply).decode() == captured


def test_a_publication_is_pushed_as_the_captured_bytes():
    prefix = JSON.push_prefix("recovery:a")
    stored = Publication(b'{"data":{"n":2},"info":{"user":"","client":"f3ab"}}', 2)
    assert JSON.publication_push(prefix, stored) == (
        b'{"push":{"channel":"recovery:a","pub":{"data":{"n":2},'
        b'"info":{"user":"","client":"f3ab"},"offset":2}}}'
    )


def test_a_publication_without_history_is_pushed_without_offset():
    frame = JSON.publication_push(JSON.push_prefix("a"), Publication(b'{"data":1}'))
    assert frame == b'{"push":{"channel":"a","pub":{"data":1}}}'


def test_an_unsubscribe_push_names_channel_code_and_reason():
    push = Push(channel="a:b", unsubscribe=UnsubscribePush(code=2500, reason="insufficient state"))
    assert json.loads(JSON.encode_reply(PushReply(push=push))) == {
        "push": {
            "channel": "a:b",
            "unsubscribe": {"code": 2500, "reason": "insufficient state"},
        }
    }


def test_a_ping_is_an_empty_object():
    assert JSON.ping == b"{}"
    assert JSON.decode_commands("{}")[0].is_pong


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "  \n ",
        "nonsense",
        '{"id":1,"connect":{}',
        '{"id":"1","connect":{}}',
        '{"id":-1,"connect":{}}',
        '{"id":4294967296,"connect":{}}',
        '{"id":1,"connect":[]}',
        '{"id":1,"connect":null,"subscribe":{"channel":5}}',
        '{"id":1,"subscribe":{"channel":"a","offset":-1}}',
        '{"id":1,"subscribe":{"channel":"a","offset":9223372036854775808}}',
        '{"id":1}\n\n{"id":2}',
        "[" * 100_000,
        '{"id":1,"publish":{"channel":"a","data":' + "[" * 100_000 + "}}",
        '{"id":1,"connect":{}} {"id":2,"connect":{}}',
        '{"id":1,"publish":{"channel":"a","data":{"x":}}}',
        b'{"id":1,"connect":{"name":"\xff"}}',
    ],
)
def test_a_malformed_frame_is_refused_as_a_whole(frame: str | bytes):
    with pytest.raises(MalformedFrameError):
        JSON.decode_commands(frame)


def test_unknown_fields_of_newer_clients_are_ignored():
    (command,) = JSON.decode_commands(
        '{"id":1,"connect":{"name":"js","profile":"x","dict":{"a":1}}}'
    )
    assert command.connect is not None
    assert command.connect.name == "js"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.text(max_size=30),
        "token": st.text(max_size=30),
        "data": json_values,
        "recover": st.booleans(),
        "offset": st.integers(0, 2**62),
        "epoch": st.text(max_size=8),
    },
)
commands = st.builds(
    lambda number, method, request: {"id": number, method: request},
    st.integers(1, 2**32 - 1),
    st.sampled_from([name for name in METHODS if name not in ("connect", "history")]),
    requests,
)


@given(st.lists(commands, min_size=1, max_size=5))
def test_every_command_comes_through_as_it_was_sent(sent: list[dict[str, Any]]):
    decoded = JSON.decode_commands("\n".join(json.dumps(item) for item in sent))
    for item, command in zip(sent, decoded, strict=True):
        method = command.method
        assert {method} == item.keys() - {"id"}
        for name, value in item[method].items():
            got = getattr(getattr(command, method), name, value)
            if name == "data" and isinstance(got, msgspec.Raw):
                got = json.loads(bytes(got))
            assert got == value


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused_but_never_break(data: bytes):
    try:
        decoded = JSON.decode_commands(data)
    except MalformedFrameError:
        return
    assert all(isinstance(item, Command) for item in decoded)


@given(st.text(min_size=1, max_size=50), json_values, st.integers(0, 2**62))
def test_a_pushed_publication_reads_back_whole(channel: str, data: Any, offset: int):
    payload = b'{"data":' + json.dumps(data).encode() + b"}"
    frame = JSON.publication_push(JSON.push_prefix(channel), Publication(payload, offset))
    assert b"\n" not in frame
    pub = {"data": data} | ({"offset": offset} if offset else {})
    assert json.loads(frame) == {"push": {"channel": channel, "pub": pub}}


def test_line_feeds_inside_embedded_json_do_not_break_the_frame():
    reply = Reply(id=1, rpc=RpcResult(data=msgspec.Raw(b'{\r\n "a": [1,\n2]\n}')))
    assert JSON.encode_reply(reply) == b'{"id":1,"rpc":{"data":{"a":[1,2]}}}'


@pytest.mark.parametrize("depth", [*range(300, 1100, 7), 5000])
def test_what_is_let_in_as_json_is_json_later(depth: int):
    data = "[" * depth + "]" * depth
    try:
        (command,) = JSON.decode_commands(f'{{"id":1,"publish":{{"channel":"a","data":{data}}}}}')
    except MalformedFrameError:
        return
    assert command.publish
    assert payload.is_json(bytes(command.publish.data))


def test_invalid_utf_8_is_malformed_even_where_it_is_only_passed_on():
    with pytest.raises(MalformedFrameError):
        JSON.decode_commands(b'{"id":1,"publish":{"channel":"a","data":"\xff"}}')


def test_a_frame_carries_so_many_commands_and_no_more():
    assert len(JSON.decode_commands("\n".join(["{}"] * COMMANDS_MAX))) == COMMANDS_MAX
    with pytest.raises(MalformedFrameError):
        JSON.decode_commands("\n".join(["{}"] * (COMMANDS_MAX + 1)))
