"""Many calls in one request, nulls, and the older form."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.server_api import calls
from tests.hub.realtime.server_api.house import Api, open_api

BAD_REQUEST = {"error": {"code": 107, "message": "bad request"}}
NOT_FOUND = {"error": {"code": 104, "message": "not found"}}


@pytest.fixture
async def api() -> AsyncGenerator[Api]:
    async with open_api() as api:
        yield api


def publish(number: int, channel: str = "room:a") -> dict[str, Any]:
    return {"publish": {"channel": channel, "data": number}}


@pytest.mark.parametrize("parallel", [False, True])
async def test_a_batch_replies_to_each_command_in_its_place(api: Api, parallel: bool) -> None:
    commands = [publish(1), {"info": {}}, publish(2, "nowhere:x"), None, {"what": {}}, publish(3)]
    answer = await api.client.post("/api/batch", json={"commands": commands, "parallel": parallel})
    first, info, unknown, null, what, last = answer.json()["replies"]
    assert [first["publish"]["offset"], last["publish"]["offset"]] == [1, 2]
    assert info["info"]["nodes"][0]["uid"] == "node-1"
    assert unknown == {"error": {"code": 102, "message": "unknown channel"}}
    assert (null, what) == (BAD_REQUEST, NOT_FOUND)


async def test_a_batch_that_is_not_parallel_keeps_the_order(api: Api) -> None:
    commands = [publish(number) for number in range(50)]
    await api.client.post("/api/batch", json={"commands": commands})
    assert [item["data"] for item in await api.stored("room:a")] == list(range(50))


async def test_an_empty_batch_has_no_replies(api: Api) -> None:
    assert (await api.client.post("/api/batch", json={})).json() == {"replies": []}


@pytest.mark.parametrize(
    "body",
    [
        {"commands": [publish(1), {"publish": {"channel": 7}}]},
        {"commands": [publish(1), 7]},
        {"commands": publish(1)},
        [publish(1)],
    ],
)
async def test_of_a_malformed_batch_nothing_is_done(api: Api, body: Any) -> None:
    assert (await api.client.post("/api/batch", json=body)).status_code == 400
    assert await api.stored("room:a") == []


async def test_null_stands_for_an_absent_field_but_data_may_be_null(api: Api) -> None:
    request = {"channel": "room:a", "data": None, "tags": None, "idempotency_key": None}
    assert (await api.call("publish", **request))["result"]["offset"] == 1
    nested = {"commands": [{"publish": request, "info": None}], "parallel": None}
    answer = await api.client.post("/api/batch", json=nested)
    assert answer.json()["replies"][0]["publish"]["offset"] == 2
    assert await api.stored("room:a") == [{"data": None}] * 2


async def test_the_older_form_takes_names_numbers_and_many_commands(api: Api) -> None:
    lines = [
        {"method": "publish", "params": {"channel": "room:a", "data": 1}},
        {"id": 7, "method": 0, "params": {"channel": "room:a", "data": 2}},
        {"method": "INFO"},
        {"method": "presence_stats", "params": {"channel": "room:a"}},
        {"method": "publish", "params": {"channel": 7}},
        {"method": "publish"},
        {"method": "what"},
        {"method": 99},
    ]
    body = "\n".join(json.dumps(line) for line in lines)
    answer = await api.client.post("/api", content=body)
    replies = [json.loads(line) for line in answer.text.split("\n")]
    assert [reply.get("result", {}).get("offset") for reply in replies[:2]] == [1, 2]
    assert (replies[1]["id"], "id" in replies[0]) == (7, False)
    assert replies[2]["result"]["nodes"][0]["uid"] == "node-1"
    assert replies[3]["result"] == {"num_clients": 0, "num_users": 0}
    assert replies[4:] == [BAD_REQUEST, BAD_REQUEST, NOT_FOUND, NOT_FOUND]


@pytest.mark.parametrize("body", ["", "  \n", '{"method":"info"} x', "[]", '{"method":{}}', "7"])
async def test_a_malformed_body_of_the_older_form_does_nothing(api: Api, body: str) -> None:
    command = '{"method":"publish","params":{"channel":"room:a","data":1}}'
    for text in (body, command + "," + body):
        assert (await api.client.post("/api", content=text)).status_code == 400
    assert await api.stored("room:a") == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=3), json_values), max_size=4), st.sampled_from(" \n")
)
def test_texts_that_follow_each_other_are_cut_where_they_end(
    values: list[dict[str, Any]], space: str
) -> None:
    body = space.join(json.dumps(value, indent=1) for value in values).encode()
    assert [json.loads(text) for text in calls._split(body)] == values


@given(json_values)
def test_without_nulls_nothing_else_is_missing(value: Any) -> None:
    def expected(item: Any) -> Any:
        if isinstance(item, list):
            return [expected(inner) for inner in item]
        if isinstance(item, dict):
            return {name: expected(inner) for name, inner in item.items() if inner is not None}
        return item

    assert json.loads(calls._without_nulls(json.dumps(value).encode(), 100)) == expected(value)
