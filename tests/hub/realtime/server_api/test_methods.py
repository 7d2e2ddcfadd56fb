"""Each method of the server API: the same fields, results and errors as the original's."""

import base64
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from hub.realtime.broker import StreamPosition
from hub.realtime.cluster.messages import Disconnect, Refresh, Subscribe, Unsubscribe
from hub.realtime.protocol.messages import ClientInfo, raw
from tests.hub.realtime.server_api.house import Api, open_api

UNKNOWN_CHANNEL = {"error": {"code": 102, "message": "unknown channel"}}
NOT_FOUND = {"error": {"code": 104, "message": "not found"}}
BAD_REQUEST = {"error": {"code": 107, "message": "bad request"}}
NOT_AVAILABLE = {"error": {"code": 108, "message": "not available"}}


@pytest.fixture
async def api() -> AsyncGenerator[Api]:
    async with open_api() as api:
        yield api


async def test_a_publication_is_kept_and_answered_with_its_position(api: Api) -> None:
    first = await api.call("publish", channel="room:a", data={"n": 1}, tags={"kind": "x"})
    second = await api.call("publish", channel="room:a", data=None)
    epoch = first["result"]["epoch"]
    assert first == {"result": {"offset": 1, "epoch": epoch}}
    assert second == {"result": {"offset": 2, "epoch": epoch}}
    assert await api.stored("room:a") == [{"data": {"n": 1}, "tags": {"kind": "x"}}, {"data": None}]


async def test_without_history_a_publication_has_no_position(api: Api) -> None:
    assert await api.call("publish", channel="plain:a", data=1) == {"result": {}}
    assert await api.call("publish", channel="room:a", data=1, skip_history=True) == {"result": {}}
    assert await api.stored("room:a") == []


async def test_an_idempotency_key_publishes_once_per_channel(api: Api) -> None:
    answers = [
        await api.call("publish", channel=channel, data=number, idempotency_key="k")
        for number, channel in enumerate(["room:a", "room:a", "room:b"])
    ]
    assert [item["result"]["offset"] for item in answers] == [1, 1, 1]
    assert await api.stored("room:a") == [{"data": 0}]
    assert await api.stored("room:b") == [{"data": 2}]


async def test_an_older_version_does_not_replace_a_newer_one(api: Api) -> None:
    for data, version, epoch in [("a", 2, ""), ("b", 1, ""), ("c", 2, ""), ("d", 1, "new")]:
        await api.call("publish", channel="room:a", data=data, version=version, version_epoch=epoch)
    assert [item["data"] for item in await api.stored("room:a")] == ["a", "d"]


async def test_base64_carries_json_and_other_bytes(api: Api) -> None:
    for content in (b'{"n":1}', b"\x00\xff"):
        text = base64.b64encode(content).decode()
        answer = await api.call("publish", channel="room:a", b64data=text, data="not this")
        assert "result" in answer
    assert await api.stored("room:a") == [{"data": {"n": 1}}, {"b64data": "AP8="}]
    read = await api.call("history", channel="room:a", limit=-1)
    assert [item["data"] for item in read["result"]["publications"]] == [{"n": 1}, "AP8="]


@pytest.mark.parametrize(
    ("channel", "data", "is_good"),
    [
        ("plain:a", {"data": []}, True),
        ("plain:a", {}, False),
        ("object:a", {"data": {}}, True),
        ("object:a", {"data": [1]}, False),
        ("object:a", {"b64data": "AP8="}, False),
        ("bytes:a", {"b64data": "AP8="}, True),
        ("bytes:a", {}, True),
        ("plain:a", {"b64data": "no base64"}, False),
        ("plain:a", {"b64data": "QQ"}, False),
    ],
)
async def test_data_has_the_format_of_its_namespace(
    api: Api, channel: str, data: dict[str, Any], is_good: bool
) -> None:
    answer = await api.call("publish", channel=channel, **data)
    assert answer == ({"result": {}} if is_good else BAD_REQUEST)


async def test_a_broadcast_answers_for_each_channel(api: Api) -> None:
    channels = ["room:a", "nowhere:x", "", "room:b", "plain:c"]
    answer = await api.call("broadcast", channels=channels, data=[1])
    a, nowhere, empty, b, plain = answer["result"]["responses"]
    assert (nowhere, empty, plain) == (UNKNOWN_CHANNEL, BAD_REQUEST, {"result": {}})
    assert a["result"]["offset"] == b["result"]["offset"] == 1
    assert await api.stored("room:a") == await api.stored("room:b") == [{"data": [1]}]


@pytest.mark.parametrize("request_", [{}, {"channels": [], "data": 1}])
async def test_a_broadcast_to_nobody_is_a_bad_request(api: Api, request_: dict[str, Any]) -> None:
    assert await api.call("broadcast", **request_) == BAD_REQUEST


async def test_subscribe_tells_every_option_to_the_processes(api: Api) -> None:
    answer = await api.call(
        "subscribe",
        user="ann",
        client="c-1",
        session="s-1",
        channel="room:a",
        expire_at=1_900_000_000,
        info={"a": 1},
        b64data=base64.b64encode(b"[2]").decode(),
        recover_since={"offset": 5, "epoch": "e"},
        override={"presence": {"value": True}, "force_recovery": {"value": False}},
    )
    assert answer == {"result": {}}
    assert api.node.orders == [
        Subscribe(
            user="ann",
            client="c-1",
            session="s-1",
            channel="room:a",
            expires_at=1_900_000_000,
            info=b'{"a":1}',
            data=b"[2]",
            recover_since=StreamPosition(5, "e"),
            presence=True,
            force_recovery=False,
        )
    ]


async def test_unsubscribe_disconnect_and_refresh_tell_the_processes(api: Api) -> None:
    expire_at = int(time.time()) + 60
    for method, request in [
        ("unsubscribe", {"user": "ann", "channel": "room:a", "client": "c-1"}),
        ("unsubscribe", {"user": "ann"}),
        ("disconnect", {"user": "ann", "whitelist": ["c-2"]}),
        ("disconnect", {"user": "ann", "disconnect": {"code": 4501, "reason": "bye"}}),
        ("disconnect", {"user": "ann", "disconnect": {}}),
        ("refresh", {"user": "ann", "session": "s", "expire_at": expire_at, "info": {"x": 1}}),
        ("refresh", {"user": "ann", "expired": True}),
    ]:
        assert await api.call(method, **request) == {"result": {}}
    assert api.node.orders == [
        Unsubscribe(user="ann", channel="room:a", client="c-1"),
        Unsubscribe(user="ann"),
        Disconnect(user="ann", whitelist=("c-2",), code=3503, reason="force disconnect"),
        Disconnect(user="ann", code=4501, reason="bye"),
        Disconnect(user="ann", code=3503, reason="force disconnect"),
        Refresh(user="ann", session="s", expire_at=expire_at, info=b'{"x":1}'),
        Refresh(user="ann", expired=True),
    ]


@pytest.mark.parametrize(
    ("method", "request_", "error"),
    [
        ("publish", {"data": 1}, BAD_REQUEST),
        ("publish", {"channel": "nowhere:x", "data": 1}, UNKNOWN_CHANNEL),
        ("subscribe", {"user": "ann"}, BAD_REQUEST),
        ("subscribe", {"user": "ann", "channel": "nowhere:x"}, UNKNOWN_CHANNEL),
        ("subscribe", {"user": "ann", "channel": "room:a", "b64info": "/w=="}, BAD_REQUEST),
        ("subscribe", {"user": "ann", "channel": "room:a", "b64data": "???"}, BAD_REQUEST),
        ("unsubscribe", {"user": "ann", "channel": "nowhere:x"}, UNKNOWN_CHANNEL),
        ("disconnect", {"user": "ann", "disconnect": {"code": 1000}}, BAD_REQUEST),
        ("disconnect", {"user": "ann", "disconnect": {"code": 5000}}, BAD_REQUEST),
        ("disconnect", {"disconnect": {"code": 4500, "reason": "é" * 62}}, BAD_REQUEST),
        ("presence", {}, BAD_REQUEST),
        ("presence", {"channel": "nowhere:x"}, UNKNOWN_CHANNEL),
        ("presence", {"channel": "plain:a"}, NOT_AVAILABLE),
        ("presence_stats", {"channel": "plain:a"}, NOT_AVAILABLE),
        ("history", {}, BAD_REQUEST),
        ("history", {"channel": "nowhere:x"}, UNKNOWN_CHANNEL),
        ("history", {"channel": "plain:a"}, NOT_AVAILABLE),
        ("history", {"channel": "room:a", "reverse": True, "since": {}}, BAD_REQUEST),
        (
            "history",
            {"channel": "room:a", "since": {"epoch": "gone"}},
            {"error": {"code": 112, "message": "unrecoverable position"}},
        ),
        ("history_remove", {"channel": "plain:a"}, NOT_AVAILABLE),
        ("rpc", {}, BAD_REQUEST),
        ("rpc", {"method": "nobody.knows"}, NOT_FOUND),
    ],
)
async def test_a_refusal_has_its_code_and_changes_nothing(
    api: Api, method: str, request_: dict[str, Any], error: dict[str, Any]
) -> None:
    await api.call("publish", channel="room:a", data="kept")
    assert await api.call(method, **request_) == error
    assert api.node.orders == []
    assert await api.stored("room:a") == [{"data": "kept"}]


async def test_presence_shows_clients_and_counts_users(api: Api) -> None:
    for client, user in [("c-1", "ann"), ("c-2", "ann"), ("c-3", "")]:
        info = ClientInfo(user=user, client=client, conn_info=raw(b'{"name":"A"}'))
        await api.parts.presence.add("room:a", info)
    present = (await api.call("presence", channel="room:a"))["result"]["presence"]
    assert present["c-2"] == {"user": "ann", "client": "c-2", "conn_info": {"name": "A"}}
    assert present["c-3"]["user"] == ""
    stats = await api.call("presence_stats", channel="room:a")
    assert stats == {"result": {"num_clients": 3, "num_users": 2}}
    nobody = await api.call("presence_stats", channel="room:b")
    assert nobody == {"result": {"num_clients": 0, "num_users": 0}}
    assert await api.call("presence", channel="room:b") == {"result": {"presence": {}}}


async def test_history_pages_both_ways_and_tells_the_top(api: Api) -> None:
    for number in range(1, 6):
        await api.call("publish", channel="room:a", data=number)

    async def read(**request: Any) -> list[int]:
        result = (await api.call("history", channel="room:a", **request))["result"]
        assert result["offset"] == 5
        return [item["data"] for item in result["publications"]]

    top = (await api.call("history", channel="room:a"))["result"]
    assert top == {"publications": [], "epoch": top["epoch"], "offset": 5}
    assert await read(limit=-1) == [1, 2, 3, 4, 5]
    assert await read(limit=2) == [1, 2]
    assert await read(limit=2, since={"offset": 2, "epoch": top["epoch"]}) == [3, 4]
    assert await read(limit=2, reverse=True) == [5, 4]
    assert await read(limit=-1, reverse=True, since={"offset": 3}) == [2, 1]


async def test_a_removed_history_is_empty_and_its_stream_goes_on(api: Api) -> None:
    before = (await api.call("publish", channel="room:a", data=1))["result"]
    assert await api.call("history_remove", channel="room:a") == {"result": {}}
    after = (await api.call("history", channel="room:a", limit=-1))["result"]
    assert after == {"publications": [], "epoch": before["epoch"], "offset": 1}
    again = (await api.call("publish", channel="room:a", data=2))["result"]
    assert again == {"offset": 2, "epoch": before["epoch"]}


async def test_channels_and_info_describe_the_processes(api: Api) -> None:
    answer = await api.call("channels", pattern="*")
    assert answer == {
        "result": {"channels": {"room:a": {"num_clients": 2}, "plain:b": {"num_clients": 1}}}
    }
    [node] = (await api.call("info"))["result"]["nodes"]
    assert node == {
        "uid": "node-1",
        "name": "here",
        "version": "1",
        "num_clients": 3,
        "messages_sent": 50,
        "messages_received": 40,
        "num_users": 2,
        "num_channels": 0,
        "num_subs": 0,
    }
