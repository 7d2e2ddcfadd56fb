"""Every metric that docs/realtime.md names: it is served, and it moves when its thing happens."""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from core import clock, config, metrics
from hub.realtime.broker import PublishRequest
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster.messages import Unsubscribe
from hub.realtime.figures import FIGURES
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.redis import RestartableRedis
from tests.hub.realtime.house import API_KEY, KEPT, House, Socket, open_house, socket, until

DOCUMENT = Path(__file__).parents[3] / "docs" / "realtime.md"
NAMED = re.findall(r"^\| `(pinghub_\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
OURS = re.compile(r"pinghub_(node|client|transport|broker|api)_")
SETTINGS = config.Realtime(ping_interval_seconds=0.05, position_check_seconds=0.05)


def value(name: str) -> float:
    """Return the sum of a metric over its labels; of a histogram how often it was observed.

    Asked again and again, so without a look at what all others say.
    """
    wanted = {name, f"{name}_total", f"{name}_count"}
    families = (*REGISTRY.restricted_registry(wanted).collect(), *FIGURES.collect())
    return sum(
        sample.value for family in families for sample in family.samples if sample.name in wanted
    )


class Scene:
    """A served hub, and clients that stay until the end."""

    def __init__(self, house: House, stack: AsyncExitStack) -> None:
        self.house = house
        self._stack = stack
        self._numbers = count(2)

    async def client(self, user: str = "ann") -> Socket:
        return await self._stack.enter_async_context(socket(self.house, user))

    def at_end(self, act: Callable[[], None]) -> None:
        self._stack.callback(act)

    async def command(self, client: Socket, **command: Any) -> Any:
        """Return the reply to a command, past the pushes before it."""
        number = next(self._numbers)
        await client.send({"id": number, **command})
        while (reply := await client.receive()).get("id") != number:
            pass
        return reply

    async def subscriber(self, channel: str = "room:a", **options: Any) -> Socket:
        client = await self.client()
        await self.command(client, subscribe={"channel": channel, **options})
        return client

    async def call(self, method: str, key: str = API_KEY, **request: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.house.http_url) as http:
            return await http.post(f"/api/{method}", json=request, headers={"x-api-key": key})


async def connect(scene: Scene) -> None:
    await scene.client()


async def call_without_key(scene: Scene) -> None:
    assert (await scene.call("info", key="wrong")).status_code == 401


async def publish(scene: Scene) -> None:
    client = await scene.subscriber()
    request = PublishRequest(channel="room:a", data=b"1", history=KEPT, time_ms=clock.unix_ms())
    await scene.house.broker.publish(request)
    await client.receive()


async def be_quiet(scene: Scene) -> None:
    await scene.subscriber()


async def be_refused(scene: Scene) -> None:
    client = await scene.client()
    assert "error" in await scene.command(client, subscribe={"channel": "nowhere:a"})


async def talk_nonsense(scene: Scene) -> None:
    client = await scene.client()
    await client.connection.send("{")
    assert (await client.closed())[0] == 3501


async def be_unsubscribed(scene: Scene) -> None:
    client = await scene.subscriber()
    await scene.house.hub.control.send(Unsubscribe(user="ann", channel="room:a"))
    await client.receive()


async def recover(scene: Scene) -> None:
    await scene.house.publish("room:a", 1)
    await scene.subscriber(recover=True)


async def answer_pings(scene: Scene) -> None:
    client = await scene.client()
    assert json.loads(await client.connection.recv()) == {}
    await client.connection.send("{}")


async def read_nothing(scene: Scene) -> None:
    client = await scene.subscriber()
    # It would not read a farewell either.
    scene.at_end(client.connection.transport.abort)
    while not value("pinghub_client_queue_bytes"):
        await scene.house.publish("room:a", "x" * 60_000)


async def ask_the_api(scene: Scene) -> None:
    assert "result" in (await scene.call("info")).json()


async def ask_the_api_for_nonsense(scene: Scene) -> None:
    assert "error" in (await scene.call("publish", channel="nowhere:a", data=1)).json()


Move = Callable[[Scene], Awaitable[None]]
MOVES: dict[str, Move] = {
    "pinghub_node_num_clients": connect,
    "pinghub_node_num_users": connect,
    "pinghub_node_num_subscriptions": connect,
    "pinghub_node_num_channels": connect,
    "pinghub_node_num_requests_refused": call_without_key,
    "pinghub_node_broadcast_duration_seconds": publish,
    "pinghub_node_publish_to_delivery_seconds": publish,
    "pinghub_node_channel_resyncs": be_quiet,
    "pinghub_client_num_reply_errors": be_refused,
    "pinghub_client_num_server_disconnects": talk_nonsense,
    "pinghub_client_num_server_unsubscribes": be_unsubscribed,
    "pinghub_client_command_duration_seconds": connect,
    "pinghub_client_recover": recover,
    "pinghub_client_recovered_publications": recover,
    "pinghub_client_ping_pong_duration_seconds": answer_pings,
    "pinghub_client_queue_bytes": read_nothing,
    "pinghub_transport_connections_accepted": connect,
    "pinghub_transport_connections_inflight": connect,
    "pinghub_transport_messages_sent": connect,
    "pinghub_transport_messages_sent_size": connect,
    "pinghub_transport_messages_received": connect,
    "pinghub_transport_messages_received_size": connect,
    "pinghub_transport_outgoing_close_count": talk_nonsense,
    "pinghub_api_command_duration_seconds": ask_the_api,
    "pinghub_api_command_errors": ask_the_api_for_nonsense,
}


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    async with open_house(MemoryBroker, SETTINGS) as house, AsyncExitStack() as stack:
        yield Scene(house, stack)


@pytest.mark.parametrize("name", MOVES)
async def test_a_metric_moves_when_its_thing_happens(scene: Scene, name: str):
    before = value(name)
    await MOVES[name](scene)
    await until(lambda: value(name) > before, name)


async def test_info_tells_the_same_numbers(scene: Scene):
    for _ in range(2):
        await scene.subscriber()
    [node] = (await scene.call("info")).json()["result"]["nodes"]
    counted = ("num_clients", "num_users", "num_subs", "num_channels")
    assert [node[name] for name in counted] == [2, 1, 4, 2]
    for name in ("messages_sent", "messages_received"):
        # Pings go on meanwhile.
        assert 0 < node[name] <= value(f"pinghub_transport_{name}")


def lose_connections(server: redis.Redis, own: RestartableRedis) -> None:
    del own
    server.client_kill_filter(_type="pubsub")


def publish_nonsense(server: redis.Redis, own: RestartableRedis) -> None:
    del own
    server.publish("ping:channel:room:a", "nonsense")


def lose_publications(server: redis.Redis, own: RestartableRedis) -> None:
    server.hset("ping:meta:{room:a}", "s", 1)
    own.kill()
    own.restart()


def nothing(server: redis.Redis, own: RestartableRedis) -> None:
    """What is measured happens by itself."""
    del server, own


REDIS_MOVES: dict[str, Callable[[redis.Redis, RestartableRedis], None]] = {
    "pinghub_node_pub_sub_lag_seconds": nothing,
    "pinghub_broker_redis_call_duration_seconds": nothing,
    "pinghub_broker_redis_connection_failures": lose_connections,
    "pinghub_broker_redis_pub_sub_dropped": publish_nonsense,
    "pinghub_broker_redis_epochs_ended": lose_publications,
}


async def test_metrics_of_redis_move_too(start_redis: Callable[[], RestartableRedis]):
    own = start_redis()
    settings = config.Redis(url=own.url, call_deadline_seconds=1.0)
    before = {name: value(name) for name in REDIS_MOVES}
    async with (
        open_house(lambda: RedisBroker(settings)) as house,
        socket(house, "ann") as client,
    ):
        await client.send({"id": 2, "subscribe": {"channel": "room:a"}})
        await client.receive()
        for number in range(2):
            await house.publish("room:a", number)
        for name, move in REDIS_MOVES.items():
            with redis.Redis.from_url(own.url) as server:
                move(server, own)
            await until(lambda name=name: value(name) > before[name], name, 30)
            await until(lambda: house.broker.healthy, "Redis")


def test_what_is_documented_is_what_is_served():
    families = text_string_to_metric_families(metrics.render().decode())
    served = {
        family.name
        for family in families
        if OURS.match(family.name) and not family.name.endswith("_created")
    }
    assert sorted(NAMED) == sorted(served)
    assert set(NAMED) == {*MOVES, *REDIS_MOVES}


async def test_labels_stay_few_whatever_clients_and_servers_send(scene: Scene):
    client = await scene.client("somebody")
    for number in range(50):
        await scene.command(client, subscribe={"channel": f"nowhere:{number}"})
        await scene.command(client, rpc={"method": f"procedure-{number}", "data": 1})
        await scene.call(f"method-{number}")
        await scene.call("publish", key=f"key-{number}", channel="a", data=1)
    for number in range(50):
        leaving = await scene.client(f"user-{number}")
        disconnect = {"code": 4000 + number, "reason": "x"}
        await scene.call("disconnect", user=f"user-{number}", disconnect=disconnect)
        assert (await leaving.closed())[0] == 4000 + number
    lines = [line for line in metrics.render().decode().splitlines() if OURS.match(line)]
    labels = "".join(line.rpartition("}")[0] for line in lines)
    assert not re.search(r"somebody|nowhere|procedure-|method-|key-|user-|40\d\d", labels)
    series = [line.partition("{")[0] for line in lines]
    # Fourteen methods of the server API, fifteen buckets each, are the widest.
    assert max(series.count(name) for name in set(series)) <= 250
