"""One API over several processes on one Redis: whichever is asked answers for all."""

from collections.abc import AsyncGenerator

import pytest

from core import config
from hub.realtime.cluster.messages import Disconnect
from hub.realtime.protocol.messages import ClientInfo
from tests.hub.realtime.house import until
from tests.hub.realtime.server_api.house import Api, Node, open_process


@pytest.fixture
def redis(redis_url: str, redis_prefix: str) -> config.Redis:
    return config.Redis(url=redis_url, key_prefix=redis_prefix)


@pytest.fixture
async def both(redis: config.Redis) -> AsyncGenerator[tuple[Api, Api]]:
    async with (
        open_process(redis, Node("one", {"room:a": 2, "room:b": 1})) as one,
        open_process(redis, Node("two", {"room:a": 3})) as two,
    ):
        await until(
            lambda: all(len(api.parts.control.nodes) == 2 for api in (one, two)), "both to meet"
        )
        yield one, two


async def test_orders_reach_every_process(both: tuple[Api, Api]) -> None:
    one, two = both
    assert await one.call("disconnect", user="ann", whitelist=["c"]) == {"result": {}}
    order = Disconnect(user="ann", whitelist=("c",))
    assert one.node.orders == [order]
    await until(lambda: two.node.orders == [order], "the order")


async def test_channels_are_counted_over_all_processes(both: tuple[Api, Api]) -> None:
    for api in both:
        answer = await api.call("channels")
        assert answer["result"]["channels"] == {
            "room:a": {"num_clients": 5},
            "room:b": {"num_clients": 1},
        }
        nodes = (await api.call("info"))["result"]["nodes"]
        assert {node["uid"] for node in nodes} == {"one", "two"}


async def test_part_of_the_channels_does_not_pass_for_all(
    both: tuple[Api, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = both

    async def silent(_question: object) -> None:
        raise OSError

    monkeypatch.setattr(two.node, "on_question", silent)
    monkeypatch.setattr("hub.realtime.operations.SURVEY_SECONDS", 0.05)
    assert (await one.call("channels"))["error"]["code"] == 100
    nodes = (await one.call("info"))["result"]["nodes"]
    assert {node["uid"] for node in nodes} == {"one", "two"}


async def test_presence_keys_and_versions_are_common(both: tuple[Api, Api]) -> None:
    one, two = both
    await one.parts.presence.add("room:a", ClientInfo(user="ann", client="c-1"))
    assert (await two.call("presence", channel="room:a"))["result"]["presence"].keys() == {"c-1"}
    first = await one.call("publish", channel="room:a", data=1, idempotency_key="k", version=2)
    again = await two.call("publish", channel="room:a", data=2, idempotency_key="k", version=3)
    older = await two.call("publish", channel="room:a", data=3, version=1)
    assert first["result"] == again["result"]
    assert older["result"]["offset"] == 1
    assert await two.stored("room:a") == [{"data": 1}]
    newer = await two.call("publish", channel="room:a", data=4, version=3)
    assert newer["result"]["offset"] == 2


async def test_a_broadcast_through_redis_answers_in_the_order_of_the_channels(
    both: tuple[Api, Api],
) -> None:
    one, _ = both
    await one.call("publish", channel="room:2", data=0)
    channels = ["room:1", "nowhere:x", "room:2", "plain:3"]
    answer = await one.call("broadcast", channels=channels, data=1)
    first, unknown, second, plain = answer["result"]["responses"]
    assert (first["result"]["offset"], second["result"]["offset"]) == (1, 2)
    assert (unknown["error"]["code"], plain) == (102, {"result": {}})
