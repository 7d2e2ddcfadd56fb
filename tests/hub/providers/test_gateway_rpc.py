"""Calls over a real broker: who answers, who does not, and whose answer counts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest
import pytest_asyncio
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core import config, edge
from core.edge import RpcReply, RpcRequest
from core.errors import DomainError
from core.ids import new_id
from hub.providers import mqtt_sender
from hub.providers.gateway_rpc import GatewayRpc
from hub.providers.mqtt_sender import MqttSender
from tests.fixtures.mqtt import ExternalMqtt, RestartableMqtt
from tests.fixtures.waiting import wait_until

Broker = RestartableMqtt | ExternalMqtt
Answering = Callable[[str, RpcRequest], list[RpcReply]]


class Answerer:
    """A gateway that answers calls as it is told."""

    def __init__(self, url: str, gateway: UUID, answer: Answering, version: str = "5") -> None:
        address = urlsplit(url)
        is_v5 = version == "5"
        self.subscribed = False
        self.calls: list[tuple[str, RpcRequest]] = []
        self.properties: list[Any] = []
        self._gateway = gateway
        self._answer = answer
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311,
        )
        self.client.username_pw_set(unquote(address.username or ""), address.password)
        self.client.on_connect = lambda client, *_: client.subscribe(edge.rpc_topic(gateway, "+"))
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.on_message = self._on_message
        self.client.connect(address.hostname or "", address.port or 1883)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def reply(self, reply: RpcReply, topic: str = "") -> None:
        self.client.publish(topic or edge.reply_topic(self._gateway), edge.encode(reply), 1)

    def _on_message(self, _client: Client, _data: object, message: Any) -> None:
        request = edge.decode(message.payload, RpcRequest)
        self.calls.append((message.topic.rpartition("/")[2], request))
        self.properties.append(message.properties)
        for reply in self._answer(message.topic, request):
            self.reply(reply)


@pytest_asyncio.fixture
async def make_rpc(mqtt_server: Broker) -> AsyncIterator[Callable[..., GatewayRpc]]:
    senders: list[MqttSender] = []

    def make(version: Any = "5") -> GatewayRpc:
        senders.append(MqttSender(config.Mqtt(url=mqtt_server.url, version=version)))
        return GatewayRpc(senders[-1])

    yield make
    for sender in senders:
        await sender.close()


@pytest_asyncio.fixture
async def start_gateway(mqtt_server: Broker) -> AsyncIterator[Callable[..., Answerer]]:
    started: list[Answerer] = []

    def start(gateway: UUID, answer: Answering, version: str = "5") -> Answerer:
        url = mqtt_server.gateway_url(str(gateway))
        started.append(Answerer(url, gateway, answer, version))
        wait_until(lambda: started[-1].subscribed, "the gateway's subscription")
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()


def lines(_topic: str, request: RpcRequest) -> list[RpcReply]:
    return [RpcReply(id=request.id, result={"lines": ["one", "two"], "asked": request.args})]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_call_returns_what_the_gateway_answers(
    make_rpc: Callable[..., GatewayRpc], start_gateway: Callable[..., Answerer], version: str
) -> None:
    gateway = new_id()
    double = start_gateway(gateway, lines, version)
    result = await make_rpc(version).call(gateway, "collect", {"lines": 2})
    assert result == {"lines": ["one", "two"], "asked": {"lines": 2}}
    [(method, request)] = double.calls
    assert method == "collect"
    if version == "5":
        [properties] = double.properties
        assert properties.CorrelationData == request.id
        assert properties.ResponseTopic == edge.reply_topic(gateway)
        assert 0 < properties.MessageExpiryInterval <= 30


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("not_connected", "gateway.not_connected"),
        ("busy", "gateway.busy"),
        ("failed", "gateway.call_failed"),
        ("malformed", "gateway.call_refused"),
        ("unknown_method", "gateway.method_unknown"),
        ("timeout", "gateway.timeout"),
    ],
)
async def test_a_refusal_of_the_gateway_has_a_code_of_the_catalogue(
    make_rpc: Callable[..., GatewayRpc],
    start_gateway: Callable[..., Answerer],
    code: Any,
    refusal: str,
) -> None:
    gateway = new_id()
    start_gateway(gateway, lambda _, request: [RpcReply(id=request.id, code=code)])
    with pytest.raises(DomainError) as caught:
        await make_rpc().call(gateway, "identify", {"ring": bytes(8)})
    assert caught.value.code == refusal


async def test_nobody_at_the_other_end_is_an_offline_gateway(
    make_rpc: Callable[..., GatewayRpc],
) -> None:
    with pytest.raises(DomainError) as caught:
        await make_rpc().call(new_id(), "rescan", {})
    assert caught.value.code == "gateway.offline"


async def test_a_gateway_that_does_not_answer_is_waited_for_no_longer_than_asked(
    make_rpc: Callable[..., GatewayRpc], start_gateway: Callable[..., Answerer]
) -> None:
    gateway = new_id()
    start_gateway(gateway, lambda _topic, _request: [])
    with pytest.raises(DomainError) as caught:
        async with asyncio.timeout(5):
            await make_rpc().call(gateway, "rescan", {}, timeout_seconds=0.2)
    assert caught.value.code == "gateway.timeout"


async def test_an_answer_to_another_call_is_not_taken(
    make_rpc: Callable[..., GatewayRpc], start_gateway: Callable[..., Answerer]
) -> None:
    gateway = new_id()

    def answer(_topic: str, request: RpcRequest) -> list[RpcReply]:
        wrong = RpcReply(id=b"another call", result={"lines": ["wrong"]})
        return [wrong, RpcReply(id=request.id, result={"lines": ["right"]})]

    start_gateway(gateway, answer)
    assert await make_rpc().call(gateway, "collect", {}) == {"lines": ["right"]}


async def test_a_gateway_cannot_answer_for_another_one(
    make_rpc: Callable[..., GatewayRpc],
    start_gateway: Callable[..., Answerer],
    mqtt_server: Broker,
) -> None:
    if isinstance(mqtt_server, ExternalMqtt):
        pytest.skip("one login for everyone: nothing fences gateways on this broker")
    gateway, impostor_id = new_id(), new_id()
    impostor = start_gateway(impostor_id, lambda _topic, _request: [])

    def answer(_topic: str, request: RpcRequest) -> list[RpcReply]:
        forged = RpcReply(id=request.id, result={"lines": ["forged"]})
        impostor.reply(forged, edge.reply_topic(gateway))
        return []

    start_gateway(gateway, answer)
    with pytest.raises(DomainError) as caught:
        await make_rpc().call(gateway, "collect", {}, timeout_seconds=0.5)
    assert caught.value.code == "gateway.timeout"


async def test_many_processes_call_one_gateway_and_each_has_its_own_answer(
    make_rpc: Callable[..., GatewayRpc], start_gateway: Callable[..., Answerer]
) -> None:
    gateway = new_id()
    start_gateway(gateway, lambda _, request: [RpcReply(id=request.id, result=request.args)])
    processes = [make_rpc() for _ in range(3)]
    results = await asyncio.gather(
        *(processes[number % 3].call(gateway, "echo", {"number": number}) for number in range(12))
    )
    assert results == [{"number": number} for number in range(12)]


async def test_without_a_broker_the_service_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt_sender, "_BROKER_SECONDS", 0.2)
    sender = MqttSender(config.Mqtt(url="mqtt://127.0.0.1:9"))
    try:
        with pytest.raises(DomainError) as caught:
            await GatewayRpc(sender).call(new_id(), "rescan", {})
    finally:
        await sender.close()
    assert caught.value.code == "service.unavailable"
