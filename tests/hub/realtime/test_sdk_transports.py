"""The official JS SDK over each of its transports in both formats: the whole vocabulary."""

import time
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from core import config, ids
from hub.realtime import codes
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster.control import Control, control_redis
from hub.realtime.redis.broker import RedisBroker
from tests.hub.realtime.desk import WAYS, Desk, RefusedError, Way, furnish, transports
from tests.hub.realtime.house import House, open_house, socket, until

# One process of the SDK for all tests: starting it costs more than most of them.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncGenerator[Desk]:
    async with furnish() as desk:
        yield desk
        await desk.call("close")


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


async def sit_down(desk: Desk, house: House, way: Way, *tokens: str) -> None:
    emulation = f"{house.http_url}/emulation"
    await desk.open(transports(house.http_url, way), way.format, *tokens, emulation=emulation)


def cut(house: House) -> None:
    """Close every connection in a way that SDKs come back from."""
    for connection in list(house.hub.connections):
        connection.close(codes.CLOSE_FORCE_RECONNECT)


async def refusal(desk: Desk, call: str, channel: str = "", **arguments: object) -> int:
    with pytest.raises(RefusedError) as refused:
        await desk.call(call, channel, **arguments)
    return refused.value.code


async def test_all_commands_are_answered(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        await sit_down(desk, house, way)
        connected = await desk.wait("connected")
        assert connected["transport"] == way.transport
        await desk.call("subscribe", "room:a")
        await desk.wait("subscribed", channel="room:a", wasRecovering=False)
        await desk.call("publish", "room:a", data={"n": 1, "text": "grüße\n🙂"})
        await house.publish("room:a", {"n": 2})
        await house.publish("taps:ann", {"tap": 1})
        await desk.wait_seen("room:a", [{"n": 1, "text": "grüße\n🙂"}, {"n": 2}])
        await desk.wait_seen("taps:ann", [{"tap": 1}])
        own = {"user": "ann", "client": connected["client"]}
        assert desk.of("publication", channel="room:a")[0]["info"] == own
        page = await desk.call("history", "room:a", limit=1, reverse=True)
        assert page["publications"] == [{"n": 2}]
        assert page["offset"] == 2
        since = {"offset": 1, "epoch": page["epoch"]}
        page = await desk.call("history", "room:a", limit=5, since=since)
        assert page["publications"] == [{"n": 2}]
        gone = {"offset": 1, "epoch": "gone"}
        assert await refusal(desk, "history", "room:a", limit=5, since=gone) == 112
        assert await refusal(desk, "publish", "plain:a", data=1) == 103
        await desk.call("unsubscribe", "room:a")
        # Emulated commands come by requests of their own, which may overtake each other.
        (connection,) = house.hub.connections
        await until(lambda: "room:a" not in connection.session.subscriptions)
        assert await refusal(desk, "publish", "room:a", data=3) == 103


async def test_who_is_there_procedures_and_messages(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house, socket(house, "bob") as bob:
        await sit_down(desk, house, way)
        client = (await desk.wait("connected"))["client"]
        await desk.call("subscribe", "seen:a", joinLeave=True)
        await desk.wait("subscribed", channel="seen:a")
        assert await desk.call("presence", "seen:a") == [{"user": "ann", "client": client}]
        await desk.wait("join", channel="seen:a", info={"user": "ann", "client": client})
        await bob.send({"id": 2, "subscribe": {"channel": "seen:a"}})
        joined = await desk.wait("join", 2, channel="seen:a")
        assert joined["info"]["user"] == "bob"
        stats = {"numClients": 2, "numUsers": 2}
        assert await desk.call("presenceStats", "seen:a") == stats
        await bob.send({"id": 3, "unsubscribe": {"channel": "seen:a"}})
        assert (await desk.wait("leave", channel="seen:a"))["info"] == joined["info"]
        answer = await desk.call("rpc", method="echo", data={"n": [1]})
        assert answer == {"user": "ann", "data": {"n": [1]}}
        assert await refusal(desk, "rpc", method="refuse", data=1) == 404
        assert await refusal(desk, "rpc", method="nowhere", data=1) == 104
        await desk.call("send", data={"hello": "hub"})
        await until(lambda: house.app.messages == [("ann", {"hello": "hub"})])
        house.hub.message(b'{"hello":"ann"}', user="ann")
        assert (await desk.wait("message"))["data"] == {"hello": "ann"}


async def test_a_token_of_another_channel_ends_the_connection(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        await sit_down(desk, house, way)
        await desk.call("subscribe", "$room:y", tokens=["ann|$room:x"])
        await desk.wait("disconnected", code=3500)


async def test_a_forced_reconnect_loses_and_doubles_nothing(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        await sit_down(desk, house, way)
        await desk.call("subscribe", "room:a")
        await desk.wait("subscribed", channel="room:a")
        for cuts in range(1, 4):
            await house.publish("room:a", f"before {cuts}")
            await house.publish("taps:ann", f"before {cuts}")
            cut(house)
            await house.publish("room:a", f"after {cuts}")
            await house.publish("taps:ann", f"after {cuts}")
            for channel in ("room:a", "taps:ann"):
                await desk.wait("subscribed", cuts, channel=channel, recovered=True)
        wanted = [f"{when} {cuts}" for cuts in (1, 2, 3) for when in ("before", "after")]
        await desk.wait_seen("room:a", wanted)
        await desk.wait_seen("taps:ann", wanted)
        assert len(desk.of("connecting", code=3011)) == 3


async def test_deltas_are_applied_live_and_recovered(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        await sit_down(desk, house, way)
        documents = [{"rest": ["unchanged"] * 30, "tick": number} for number in range(8)]
        await desk.call("subscribe", "stocks:all", delta="fossil")
        await desk.wait("subscribed", channel="stocks:all")
        for document in documents[:4]:
            await house.publish("stocks:all", document)
        cut(house)
        for document in documents[4:]:
            await house.publish("stocks:all", document)
        await desk.wait_seen("stocks:all", documents)
        assert (await desk.call("deltaStats", "stocks:all"))["numDeltaPayloads"] >= 5


async def test_an_unrecoverable_position_makes_the_app_read_its_state_again(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        for number in range(5):
            await house.publish("short:a", number)
        top = (await house.broker.history("short:a", limit=0)).top
        positions = [
            {"offset": 1, "epoch": top.epoch},  # fell out of a history of three
            {"offset": 5, "epoch": "another life"},
            {"offset": 3, "epoch": top.epoch},
        ]
        await sit_down(desk, house, way)
        resubscribe = {"minResubscribeDelay": 10, "maxResubscribeDelay": 20}
        await desk.call("subscribe", "short:a", positions=positions, **resubscribe)
        await desk.wait("subscribed", channel="short:a", recovered=True)
        assert len(desk.of("state", channel="short:a")) == 3
        await desk.wait_seen("short:a", [3, 4])


async def test_tokens_are_refreshed_and_expired_ones_replaced(desk: Desk, way: Way):
    async with open_house(MemoryBroker, config.Realtime(expired_close_delay_seconds=0.5)) as house:
        soon = int(time.time()) + 2
        await sit_down(desk, house, way, "ann@1000", f"ann@{soon}", "ann")
        tokens = ["ann|$room:x|1000", f"ann|$room:x|{soon}", "ann|$room:x"]
        resubscribe = {"minResubscribeDelay": 10, "maxResubscribeDelay": 20}
        await desk.call("subscribe", "$room:x", tokens=tokens, **resubscribe)
        await desk.wait("token", 2)
        await desk.wait("subscriptionToken", 3, channel="$room:x")
        (connection,) = house.hub.connections
        await until(lambda: connection.session.claims and not connection.session.claims.expires_at)
        for channel in ("taps:ann", "$room:x"):
            await house.publish(channel, 1)
            await desk.wait_seen(channel, [1])
        assert len(desk.of("connected")) == 1
        assert len(desk.of("subscribed", channel="$room:x")) == 1


async def test_terminal_codes_keep_the_sdk_away(desk: Desk, way: Way):
    async with open_house(MemoryBroker) as house:
        await sit_down(desk, house, way, "bad")
        await desk.wait("disconnected", code=3500)
        await sit_down(desk, house, way, "bob")
        await desk.call("subscribe", "room:secret")
        await desk.wait("unsubscribed", channel="room:secret", code=103)
        (connection,) = house.hub.connections
        connection.close(codes.CLOSE_FORCE_DISCONNECT)
        await desk.wait("disconnected", code=3503)


async def test_pings_are_answered(desk: Desk, way: Way):
    settings = config.Realtime(ping_interval_seconds=0.1, pong_timeout_seconds=2.0)
    async with open_house(MemoryBroker, settings) as house:
        await sit_down(desk, house, way)
        before = pongs()
        await until(lambda: pongs() >= before + 3)
        assert len(desk.of("connected")) == 1


def pongs() -> float:
    return REGISTRY.get_sample_value("pinghub_client_ping_pong_duration_seconds_count") or 0.0


async def test_an_sdk_falls_back_to_a_transport_that_works(desk: Desk):
    async with open_house(MemoryBroker) as house:
        nowhere = Way("websocket", "json"), Way("http_stream", "json")
        unreachable = transports("http://127.0.0.1:1", *nowhere)
        address = [*unreachable, *transports(house.http_url, Way("sse", "json"))]
        await desk.open(address, emulation=f"{house.http_url}/emulation")
        assert (await desk.wait("connected"))["transport"] == "sse"
        await desk.call("subscribe", "room:a")
        await desk.wait("subscribed", channel="room:a")


@pytest.mark.parametrize("way", [way for way in WAYS if way.transport != "websocket"], ids=str)
async def test_commands_may_come_in_by_another_process(
    desk: Desk, way: Way, redis_url: str, redis_prefix: str
):
    redis = config.Redis(url=redis_url, key_prefix=redis_prefix)

    def control() -> Control:
        return Control(RedisBroker(control_redis(redis)), str(ids.new_id()))

    async with (
        open_house(lambda: RedisBroker(redis), make_control=control) as house,
        open_house(lambda: RedisBroker(redis), make_control=control) as other,
    ):
        await until(lambda: len(other.hub.control.nodes) == 2)
        emulation = f"{other.http_url}/emulation"
        await desk.open(transports(house.http_url, way), way.format, emulation=emulation)
        await desk.call("subscribe", "room:a")
        await desk.wait("subscribed", channel="room:a")
        for number in range(10):
            await desk.call("publish", "room:a", data=number)
        await desk.wait_seen("room:a", range(10))
        assert await desk.call("rpc", method="echo", data=1) == {"user": "ann", "data": 1}
        assert not other.hub.connections
        async with httpx.AsyncClient(base_url=other.http_url) as http:
            strange = {"node": house.hub.node_id, "session": "strange", "data": "{}"}
            assert (await http.post("/emulation", json=strange)).status_code == 404
            # Commands for a process that is gone make the SDK look for another.
            (session,) = house.hub.emulated
            await house.stop()
            lost = {"node": house.hub.node_id, "session": session, "data": "{}"}
            assert (await http.post("/emulation", json=lost)).status_code == 404
        await house.start()
        await desk.wait("subscribed", channel="room:a", recovered=True)
        await desk.call("publish", "room:a", data=10)
        await desk.wait_seen("room:a", range(11))
