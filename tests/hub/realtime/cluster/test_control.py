"""The hub's processes as one: every order obeyed everywhere and once, whatever happens to Redis."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis.asyncio

from core import config
from hub.realtime.broker import (
    Broker,
    BrokerUnavailableError,
    HistoryOptions,
    Publication,
    PublishRequest,
)
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.cluster import control as control_module
from hub.realtime.cluster import orders as control_orders
from hub.realtime.cluster.control import Control, control_redis, order_request
from hub.realtime.cluster.messages import (
    Answer,
    AnyOrder,
    ChannelList,
    DescribeNode,
    Disconnect,
    Emulate,
    EmulateResult,
    ListChannels,
    NodeInfo,
    Question,
    Refresh,
    Subscribe,
    Unsubscribe,
)
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.line import Line, open_line
from tests.fixtures.redis import RestartableRedis
from tests.hub.realtime.house import until


class Process:
    """One process as its control sees it: obeys by noting down."""

    def __init__(self, name: str, broker: Broker) -> None:
        self.name = name
        self.broker = broker
        self.control = Control(broker, name)
        self.obeyed: list[AnyOrder] = []
        self.lost = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.emulated: list[Emulate] = []

    def on_order(self, order: AnyOrder) -> None:
        if order == POISON:
            raise RuntimeError("a fault in this process")
        self.obeyed.append(order)

    def on_orders_lost(self) -> None:
        self.lost += 1

    async def on_question(self, question: Question) -> Answer:
        await self.may_answer.wait()
        match question:
            case ListChannels():
                return ChannelList({f"room:{self.name}": 1})
            case Emulate(session):
                self.emulated.append(question)
                return EmulateResult(session == "known")
            case _:
                return self.describe()

    def describe(self) -> NodeInfo:
        return NodeInfo(uid=self.name, num_clients=7)

    @property
    def peers(self) -> set[str]:
        return {node.uid for node in self.control.nodes} - {self.name}

    def users(self) -> list[str]:
        return [order.user for order in self.obeyed if isinstance(order, Disconnect)]


POISON = Disconnect(user="poison")
Start = Callable[..., Awaitable[Process]]


def orders(first: int, last: int) -> list[Disconnect]:
    return [Disconnect(user=str(number)) for number in range(first, last + 1)]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "HEARTBEAT_SECONDS", 0.05)


@asynccontextmanager
async def processes(prefix: str) -> AsyncGenerator[Start]:
    async with AsyncExitStack() as stack:

        async def start(name: str, url: str) -> Process:
            settings = config.Redis(url=url, key_prefix=prefix, call_deadline_seconds=0.5)
            process = Process(name, RedisBroker(control_redis(settings)))
            await process.control.start(process)
            stack.push_async_callback(process.control.close)
            return process

        yield start


@pytest.fixture
async def start(redis_prefix: str) -> AsyncGenerator[Start]:
    async with processes(redis_prefix) as starter:
        yield starter


@pytest.fixture
async def three(start: Start, redis_url: str) -> list[Process]:
    found = [await start(name, redis_url) for name in ("a", "b", "c")]
    await until(lambda: all(len(item.peers) == 2 for item in found), "everybody to be known")
    return found


@pytest.fixture
async def line(redis_url: str) -> AsyncGenerator[Line]:
    async with open_line(redis_url) as line:
        yield line


async def test_every_process_obeys_each_order_once_and_in_order(three: list[Process]):
    given: list[AnyOrder] = [
        Disconnect(user="u", whitelist=("c1",), code=4000, reason="so"),
        Unsubscribe(user="u", channel="room:a"),
        Subscribe(user="u", channel="room:b", info=b"{}", presence=True),
        Refresh(client="c1", expire_at=7, info=b"\xff"),
    ]
    for number, order in enumerate(given):
        await three[number % 3].control.send(order)
    await until(lambda: all(len(item.obeyed) >= 4 for item in three))
    await three[0].control.send(Disconnect(user="last"))
    await until(lambda: all(len(item.obeyed) >= 5 for item in three))
    for process in three:
        assert sorted(map(repr, process.obeyed[:4])) == sorted(map(repr, given))
        assert len(process.obeyed) == 5


async def test_one_process_in_memory_is_the_whole():
    process = Process("a", MemoryBroker())
    await process.control.start(process)
    await process.control.send(Disconnect(user="u"))
    assert process.obeyed == [Disconnect(user="u")]
    survey = await process.control.survey(DescribeNode(), 1.0)
    assert (survey.answers, survey.missing) == ({"a": process.describe()}, ())
    assert process.control.nodes == [process.describe()]
    assert process.control.healthy
    await process.control.close()


async def test_an_order_that_is_repeated_with_its_key_is_obeyed_once_by_the_others(
    three: list[Process],
):
    for _ in range(3):
        await three[0].control.send(Disconnect(user="u"), key="revocation-1")
    await three[0].control.send(Disconnect(user="v"))
    await until(lambda: "v" in three[1].users())
    assert three[1].users() == ["u", "v"]


async def test_a_relay_that_is_no_hub_gives_orders_by_publishing(
    three: list[Process], redis_url: str, redis_prefix: str
):
    relay = RedisBroker(control_redis(config.Redis(url=redis_url, key_prefix=redis_prefix)))
    await relay.start()
    await relay.publish(order_request(Disconnect(user="u"), key="event-1"))
    await until(lambda: all(item.users() == ["u"] for item in three))
    await relay.close()


async def test_a_fault_in_obeying_one_order_spares_the_next(three: list[Process]):
    with pytest.raises(RuntimeError):
        await three[0].control.send(POISON)
    await three[0].broker.publish(order_request(POISON))
    await three[0].control.send(Disconnect(user="u"))
    await until(lambda: three[1].users() == ["u"])


@pytest.mark.parametrize("data", [b"1", b'{"sender":"x","body":{"type":"from the future"}}'])
async def test_what_cannot_be_read_is_passed_over(three: list[Process], data: bytes):
    for channel in (control_orders.CHANNEL, "nodes"):
        await three[0].broker.publish(
            PublishRequest(channel=channel, data=data, history=control_orders.KEPT)
        )
    await three[0].control.send(Disconnect(user="u"))
    await until(lambda: three[1].users() == ["u"])


async def test_everybody_answers_a_question(three: list[Process]):
    survey = await three[0].control.survey(ListChannels(), 5.0)
    assert survey.missing == ()
    assert survey.answers == {name: ChannelList({f"room:{name}": 1}) for name in "abc"}


async def test_who_does_not_answer_in_time_is_named_beside_the_answers(three: list[Process]):
    three[2].may_answer.clear()
    survey = await three[0].control.survey(DescribeNode(), 0.2)
    assert survey.missing == ("c",)
    assert set(survey.answers) == {"a", "b"}


async def test_one_process_can_be_asked_alone(three: list[Process]):
    found = await three[0].control.survey(Emulate("known", b"\x00"), 5.0, node_id="b")
    own = await three[0].control.survey(Emulate("unknown", b"x"), 5.0, node_id="a")
    nowhere = await three[0].control.survey(Emulate("known", b""), 5.0, node_id="gone")
    assert found.answers == {"b": EmulateResult(found=True)}
    assert own.answers == {"a": EmulateResult(found=False)}
    assert (nowhere.answers, nowhere.missing) == ({}, ("gone",))
    assert three[1].emulated == [Emulate("known", b"\x00")]
    assert three[2].emulated == []


async def test_who_leaves_says_farewell_and_who_falls_silent_is_forgotten(
    three: list[Process], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_module, "_SILENCE_SECONDS", 0.5)
    await three[2].control.close()
    await until(lambda: three[0].peers == {"b"}, "the farewell", 0.4)
    for task in list(three[1].control._tasks):  # dies without a word
        task.cancel()
    await until(lambda: three[0].peers == set(), "the silent one to be forgotten")


async def test_without_redis_an_order_is_obeyed_here_and_the_sender_is_told(
    start: Start, line: Line
):
    process = await start("a", line.url)
    line.cut()
    await until(lambda: not process.control.healthy)
    with pytest.raises(BrokerUnavailableError):
        await process.control.send(Disconnect(user="u"))
    assert process.users() == ["u"]


async def test_while_redis_is_away_nobody_is_taken_for_gone(
    start: Start, line: Line, redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_module, "_SILENCE_SECONDS", 0.5)
    away, other = await start("a", line.url), await start("b", redis_url)
    await until(lambda: away.peers == {"b"} and other.peers == {"a"})
    line.cut()
    await until(lambda: other.peers == set(), "the other to miss it")
    survey = await away.control.survey(DescribeNode(), 0.2)
    assert (set(survey.answers), survey.missing) == ({"a"}, ("b",))
    line.mend()
    await until(lambda: away.control.healthy and other.peers == {"a"})
    assert away.peers == {"b"}


@pytest.mark.parametrize("outage", ["cut", "hang"])
async def test_a_process_that_lost_redis_obeys_afterwards_what_it_missed(
    start: Start, line: Line, redis_url: str, outage: str
):
    away, other = await start("a", line.url), await start("b", redis_url)
    await other.control.send(Disconnect(user="1"))
    await until(lambda: away.users() == ["1"])
    getattr(line, outage)()
    await until(lambda: not away.control.healthy)
    for order in orders(2, 50):
        await other.control.send(order)
    assert away.users() == ["1"]
    line.mend()
    await until(lambda: len(away.obeyed) >= 50, "the missed orders", 5.0)
    await other.control.send(Disconnect(user="51"))
    await until(lambda: len(away.obeyed) >= 51)
    assert away.users() == [str(number) for number in range(1, 52)]
    assert away.lost == 0


async def test_connections_that_are_cut_again_and_again_lose_no_order(start: Start, redis_url: str):
    sender, receiver = await start("a", redis_url), await start("b", redis_url)
    async with open_line(redis_url) as line:
        cut = await start("c", line.url)
        number = 0
        for _ in range(4):
            await until(lambda: cut.control.healthy, "the connection to be back")
            line.cut()
            line.mend()
            for _ in range(5):
                number += 1
                await sender.control.send(Disconnect(user=str(number)))
        await until(lambda: len(cut.obeyed) >= number, "all orders")
        assert cut.users() == receiver.users() == [str(n) for n in range(1, number + 1)]
        assert cut.lost == 0


async def test_orders_that_are_no_longer_kept_are_reported_as_lost_once(
    start: Start, line: Line, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_orders, "KEPT", HistoryOptions(size=5, ttl_seconds=60))
    away, other = await start("a", line.url), await start("b", redis_url)
    line.cut()
    await until(lambda: not away.control.healthy)
    for order in orders(1, 10):
        await other.control.send(order)
    line.mend()
    await until(lambda: away.lost == 1)
    await other.control.send(Disconnect(user="11"))
    await until(lambda: away.users() == ["11"])
    # A stream that began anew is another way to lose some.
    direct = redis.asyncio.Redis.from_url(redis_url)
    await direct.delete(f"{redis_prefix}:control:meta:{{orders}}")
    await direct.aclose()
    await other.control.send(Disconnect(user="12"))
    await until(lambda: away.lost == 2)
    await other.control.send(Disconnect(user="13"))
    await until(lambda: away.users() == ["11", "13"])


async def test_a_process_that_began_without_redis_reports_that_it_may_have_missed_some(
    start_redis: Callable[[], RestartableRedis], redis_prefix: str
):
    server = start_redis()
    server.kill()
    async with processes(redis_prefix) as start:
        late = await start("a", server.url)
        assert late.lost == 0
        server.restart()
        await until(lambda: late.lost == 1, "the first contact")
        other = await start("b", server.url)
        await other.control.send(Disconnect(user="1"))
        await until(lambda: late.users() == ["1"])
        assert other.lost == 0


async def test_an_older_state_of_redis_does_not_swallow_new_orders(
    start: Start, redis_url: str, redis_prefix: str
):
    sender, receiver = await start("a", redis_url), await start("b", redis_url)
    for order in orders(1, 5):
        await sender.control.send(order)
    await until(lambda: len(receiver.obeyed) == 5)
    direct = redis.asyncio.Redis.from_url(redis_url)
    # As restored from a snapshot of order 2; offsets 3, 4 and 5 would be given again.
    await direct.hset(f"{redis_prefix}:control:meta:{{orders}}", "s", "2")
    await direct.delete(f"{redis_prefix}:control:stream:{{orders}}")
    await direct.aclose()
    receiver.control._orders.doubt()
    await until(lambda: receiver.lost == 1)
    await sender.control.send(Disconnect(user="6"))
    await until(lambda: "6" in receiver.users())


async def test_no_channel_of_a_client_reaches_the_control(
    three: list[Process], redis_url: str, redis_prefix: str
):
    """Whatever name a client thinks of: data and control are different keys of Redis."""
    data = RedisBroker(config.Redis(url=redis_url, key_prefix=redis_prefix))
    heard: list[str] = []
    await data.start(lambda channel, *_: heard.append(channel))
    order = order_request(Disconnect(user="u"))
    names = ("orders", "nodes", "node:a", "control:channel:orders", ":control:channel:orders")
    for name in names:
        await data.subscribe(name)
        await data.publish(PublishRequest(channel=name, data=order.data, history=order.history))
    await until(lambda: len(heard) == len(names))
    await three[0].control.send(Disconnect(user="real"))
    await until(lambda: three[1].users() == ["real"])
    assert three[0].users() == ["real"]
    assert len(heard) == len(names)
    await data.close()


def test_an_order_survives_its_way():
    given = Disconnect(user="u", session="s", whitelist=("a", "b"))
    request = order_request(given, sender="x", key="k")
    payload = Publication(b'{"data":' + request.data + b"}").payload
    assert control_module._decode(payload).data.body == given
