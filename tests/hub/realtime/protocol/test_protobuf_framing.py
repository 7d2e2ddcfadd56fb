"""The Protobuf framing, judged by the messages inside the official Python SDK."""

import base64
from typing import Any

import msgspec
import pytest
from centrifuge.protocol import client_pb2 as official
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from hub.realtime import codes
from hub.realtime.broker import Publication
from hub.realtime.protocol.framing import (
    COMMANDS_MAX,
    BinaryDataError,
    MalformedFrameError,
)
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.protocol.messages import (
    EMPTY,
    METHODS,
    ClientInfo,
    Command,
    ConnectResult,
    DisconnectPush,
    EmulationRequest,
    HistoryResult,
    JoinPush,
    PresenceResult,
    PresenceStatsResult,
    Push,
    PushReply,
    Reply,
    RpcResult,
    SubscribePush,
    SubscribeResult,
    UnsubscribePush,
    UnsubscribeResult,
    error_reply,
)
from hub.realtime.protocol.protobuf_framing import PROTOBUF

RAW_FIELDS = {"data", "conn_info", "chan_info"}


def in_protobuf_json(value: Any) -> Any:
    """Return JSON as the Protobuf library reads it: bytes fields in base64, not embedded JSON."""
    if isinstance(value, list):
        return [in_protobuf_json(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(msgspec.json.encode(item)).decode()
            if key in RAW_FIELDS
            else in_protobuf_json(item)
            for key, item in value.items()
        }
    return value


def framed(*items: bytes) -> bytes:
    """Put serialized messages into a frame, as SDKs do."""
    frame = b""
    for item in items:
        length = len(item)
        while length >= 128:
            frame += bytes([length & 127 | 128])
            length >>= 7
        frame += bytes([length]) + item
    return frame


def unframed(frame: bytes) -> list[Any]:
    """Read the replies of a frame."""
    found: list[Any] = []
    place = 0
    while place < len(frame):
        length = shift = 0
        while True:
            byte = frame[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found.append(official.Reply.FromString(frame[place : place + length]))
        place += length
    assert place == len(frame)
    return found


texts = st.text(max_size=12)
offsets = st.integers(0, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
filters = st.recursive(
    st.fixed_dictionaries({"key": texts, "cmp": texts}, optional={"vals": st.lists(texts)}),
    lambda inner: st.fixed_dictionaries({"op": texts, "nodes": st.lists(inner, max_size=3)}),
    max_leaves=4,
)
subscribes = st.fixed_dictionaries(
    {"channel": texts},
    optional={
        "token": texts,
        "recover": st.booleans(),
        "offset": offsets,
        "epoch": texts,
        "data": json_values,
        "positioned": st.booleans(),
        "recoverable": st.booleans(),
        "join_leave": st.booleans(),
        "delta": texts,
        "tf": filters,
        "flag": st.integers(-(2**63), 2**63 - 1),
    },
)
requests = {
    "connect": st.fixed_dictionaries(
        {},
        optional={
            "token": texts,
            "data": json_values,
            "name": texts,
            "version": texts,
            "subs": st.dictionaries(texts, subscribes, max_size=3),
            "headers": st.dictionaries(texts, texts, max_size=3),
        },
    ),
    "subscribe": subscribes,
    "publish": st.fixed_dictionaries({"channel": texts, "data": json_values}),
    "history": st.fixed_dictionaries(
        {"channel": texts},
        optional={
            "limit": st.integers(-(2**31), 2**31 - 1),
            "since": st.fixed_dictionaries({"offset": offsets, "epoch": texts}),
            "reverse": st.booleans(),
        },
    ),
    "rpc": st.fixed_dictionaries({"data": json_values}, optional={"method": texts}),
    "send": st.fixed_dictionaries({"data": json_values}),
    "refresh": st.fixed_dictionaries({"token": texts}),
    "sub_refresh": st.fixed_dictionaries({"channel": texts, "token": texts}),
} | dict.fromkeys(
    ("unsubscribe", "presence", "presence_stats"), st.fixed_dictionaries({"channel": texts})
)
commands = st.sampled_from(METHODS).flatmap(
    lambda method: st.fixed_dictionaries(
        {"id": st.integers(0, 2**32 - 1), method: requests[method]}
    )
)


@given(st.lists(commands, min_size=1, max_size=4))
def test_commands_mean_the_same_in_both_formats(sent: list[dict[str, Any]]):
    as_json = JSON.join([msgspec.json.encode(item) for item in sent])
    as_protobuf = framed(
        *(
            ParseDict(in_protobuf_json(item), official.Command()).SerializeToString()
            for item in sent
        )
    )
    assert PROTOBUF.decode_commands(as_protobuf) == JSON.decode_commands(as_json)


uint32s = st.integers(0, 2**32 - 1)
raws = st.just(EMPTY) | json_values.map(lambda value: Raw(msgspec.json.encode(value)))
infos = st.builds(ClientInfo, user=texts, client=texts, conn_info=raws, chan_info=raws)
subscribed = st.builds(
    SubscribeResult,
    expires=st.booleans(),
    ttl=uint32s,
    recoverable=st.booleans(),
    epoch=texts,
    recovered=st.booleans(),
    offset=offsets,
    positioned=st.booleans(),
    data=raws,
    was_recovering=st.booleans(),
    delta=st.booleans(),
)
results = (
    st.builds(Reply, id=uint32s, subscribe=subscribed)
    | st.builds(
        Reply,
        id=uint32s,
        connect=st.builds(
            ConnectResult,
            client=texts,
            expires=st.booleans(),
            ttl=uint32s,
            data=raws,
            subs=st.dictionaries(texts, subscribed, max_size=3),
            ping=uint32s,
            pong=st.booleans(),
            session=texts,
            node=texts,
        ),
    )
    | st.builds(
        Reply,
        presence=st.builds(PresenceResult, presence=st.dictionaries(texts, infos, max_size=3)),
    )
    | st.builds(
        Reply,
        presence_stats=st.builds(PresenceStatsResult, num_clients=uint32s, num_users=uint32s),
    )
    | st.builds(Reply, rpc=st.builds(RpcResult, data=raws))
    | st.builds(Reply, unsubscribe=st.builds(UnsubscribeResult))
)
pushes = st.builds(
    PushReply,
    push=st.builds(Push, channel=texts, join=st.builds(JoinPush, info=infos))
    | st.builds(Push, connect=st.builds(ConnectResult, client=texts, ping=uint32s))
    | st.builds(
        Push,
        channel=texts,
        subscribe=st.builds(SubscribePush, epoch=texts, offset=offsets, data=raws),
    )
    | st.builds(
        Push, channel=texts, unsubscribe=st.builds(UnsubscribePush, code=uint32s, reason=texts)
    )
    | st.builds(Push, disconnect=st.builds(DisconnectPush, code=uint32s, reconnect=st.booleans())),
)


@given(st.lists(results | pushes, min_size=1, max_size=4))
def test_replies_and_pushes_mean_the_same_in_both_formats(sent: list[Reply | PushReply]):
    expected = [
        ParseDict(in_protobuf_json(msgspec.json.decode(JSON.encode_reply(item))), official.Reply())
        for item in sent
    ]
    frame = PROTOBUF.join([PROTOBUF.encode_reply(item) for item in sent])
    assert unframed(frame) == expected


@given(
    texts,
    st.fixed_dictionaries(
        {"data": json_values},
        optional={
            "info": st.fixed_dictionaries(
                {"user": texts, "client": texts, "conn_info": json_values}
            ),
            "tags": st.dictionaries(texts, texts, max_size=3),
            "time": st.integers(0, 2**62),
        },
    ),
    offsets,
)
def test_publications_mean_the_same_in_both_formats(
    channel: str, stored: dict[str, Any], offset: int
):
    publication = Publication(msgspec.json.encode(stored), offset)
    expected = ParseDict(
        in_protobuf_json(
            msgspec.json.decode(JSON.publication_push(JSON.push_prefix(channel), publication))
        ),
        official.Reply(),
    )
    prefix = PROTOBUF.push_prefix(channel)
    (pushed,) = unframed(PROTOBUF.join([PROTOBUF.publication_push(prefix, publication)]))
    assert pushed == expected
    result = HistoryResult(publications=[PROTOBUF.publication(publication)], epoch="e", offset=1)
    (reply,) = unframed(PROTOBUF.join([PROTOBUF.encode_reply(Reply(history=result))]))
    assert list(reply.history.publications) == [expected.push.pub]


def test_bytes_that_are_no_json_reach_protobuf_clients_only():
    stored = Publication(b'{"b64data":"/wAK"}', 3)
    (reply,) = unframed(PROTOBUF.publication_push(PROTOBUF.push_prefix("a"), stored))
    assert reply.push.pub.data == b"\xff\x00\n"
    for data in (None, b"x"):
        with pytest.raises(BinaryDataError):
            JSON.publication_push(JSON.push_prefix("a"), stored, data=data)
        with pytest.raises(BinaryDataError):
            JSON.publication(stored, data=data)


def test_a_delta_replaces_the_data_and_leaves_the_rest():
    stored = Publication(b'{"data":{"a": 1},"tags":{"k":"v"},"time":5}', 3)
    assert msgspec.json.decode(JSON.publication(stored, data=b"patch", delta=True)) == {
        "data": "patch",
        "tags": {"k": "v"},
        "delta": True,
        "time": 5,
        "offset": 3,
    }
    whole = msgspec.json.decode(JSON.publication(stored, data=b'{"a": 1}'))
    assert (whole["data"], "delta" in whole) == ('{"a": 1}', False)
    pub = official.Publication.FromString(
        bytes(PROTOBUF.publication(stored, data=b"\xff", delta=True))
    )
    assert pub == official.Publication(data=b"\xff", tags={"k": "v"}, delta=True, time=5, offset=3)


def test_an_error_reply_carries_its_code():
    (reply,) = unframed(PROTOBUF.encode_reply(error_reply(3, codes.INTERNAL)))
    assert (reply.id, reply.error.code, reply.error.temporary) == (3, 100, True)


def test_a_ping_and_its_pong_are_one_zero_byte():
    assert PROTOBUF.join([PROTOBUF.ping]) == b"\x00"
    (pong,) = PROTOBUF.decode_commands(b"\x00")
    assert pong.is_pong


def test_an_emulated_frame_is_read_in_both_formats():
    commands = b'{"id":1,"rpc":{"data":1}}\n{"id":2}'
    expected = EmulationRequest(node="n", session="s", data=commands)
    as_json = msgspec.json.encode({"session": "s", "node": "n", "data": commands.decode()})
    as_protobuf = official.EmulationRequest(node="n", session="s", data=commands)
    assert JSON.decode_emulation(as_json) == expected
    assert PROTOBUF.decode_emulation(as_protobuf.SerializeToString()) == expected
    for framing in (JSON, PROTOBUF):
        with pytest.raises(MalformedFrameError):
            framing.decode_emulation(b"\xff")


def deep_filter(depth: int) -> bytes:
    node = b""
    for _ in range(depth):
        node = b"\x32" + framed(node)
    return node


COMMAND = official.Command(id=1, unsubscribe=official.UnsubscribeRequest(channel="a"))
TOO_FAR = official.Command(id=1, history=official.HistoryRequest())
TOO_FAR.history.since.offset = 2**63
NOT_UTF_8 = b"\x08\x01\x32\x03\x0a\x01\xff"


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("", id="text"),
        pytest.param("{}", id="JSON"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x05", id="length without message"),
        pytest.param(framed(COMMAND.SerializeToString())[:-1], id="truncated"),
        pytest.param(framed(COMMAND.SerializeToString()) + b"\x80", id="unfinished length"),
        pytest.param(b"\x80" * 9 + b"\x01", id="length of 2^63"),
        pytest.param(b"\xff" * 60_000, id="endless length"),
        pytest.param(framed(b"\xff\xff"), id="no message"),
        pytest.param(framed(b"\x08"), id="field without value"),
        pytest.param(framed(b"\x22\x7f\x0a"), id="inner length too large"),
        pytest.param(framed(NOT_UTF_8), id="text not UTF-8"),
        pytest.param(framed(TOO_FAR.SerializeToString()), id="offset too large"),
        pytest.param(framed(b"\x2a" + framed(b"\x6a" + framed(deep_filter(5_000)))), id="deep"),
    ],
)
def test_a_malformed_frame_is_refused_as_a_whole(frame: str | bytes):
    with pytest.raises(MalformedFrameError):
        PROTOBUF.decode_commands(frame)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(framed))
def test_any_bytes_are_decoded_or_refused_but_never_break(data: bytes):
    try:
        decoded = PROTOBUF.decode_commands(data)
    except MalformedFrameError:
        return
    assert all(isinstance(item, Command) for item in decoded)


def test_a_frame_carries_so_many_commands_and_no_more():
    assert len(PROTOBUF.decode_commands(b"\0" * COMMANDS_MAX)) == COMMANDS_MAX
    with pytest.raises(MalformedFrameError):
        PROTOBUF.decode_commands(b"\0" * (COMMANDS_MAX + 1))
