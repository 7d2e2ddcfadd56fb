"""The hand-over from paho's thread to the event loop."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage

from core import clock, config
from hub.providers.mqtt import Delivery, MqttLink


def message(number: int) -> MQTTMessage:
    return MQTTMessage(number, b"topic")


async def test_a_message_that_arrives_while_the_inbox_is_emptied_is_not_left_lying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    link = MqttLink(config.Mqtt(url="mqtt://127.0.0.1:1"), filters=[], in_flight_max=10)
    nothing: Any = None
    later: list[Future[list[Delivery]]] = []

    def empty_the_inbox_meanwhile() -> int:
        asyncio.run_coroutine_threadsafe(link.receive(10, 0), loop).result(5)
        later.append(asyncio.run_coroutine_threadsafe(link.receive(10, 0), loop))
        # The loop runs in order: after this round trip the second receive waits.
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)
        return 0

    def arrive() -> None:
        link._on_message(nothing, nothing, message(1))
        monkeypatch.setattr(clock, "unix_ms", empty_the_inbox_meanwhile)
        link._on_message(nothing, nothing, message(2))

    await asyncio.to_thread(arrive)
    async with asyncio.timeout(5):
        [found] = await asyncio.wrap_future(later[0])
    assert found.message_id == 2


async def test_what_needs_no_receipt_does_not_fill_the_memory() -> None:
    link = MqttLink(config.Mqtt(url="mqtt://127.0.0.1:1"), filters=[], in_flight_max=3)
    nothing: Any = None
    for number in (0, 0, 0, 0, 0, 1, 0):
        link._on_message(nothing, nothing, message(number))
    kept = await link.receive(10, 0)
    assert [item.message_id for item in kept] == [0, 0, 0, 1]


async def test_what_came_without_a_number_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    link = MqttLink(config.Mqtt(url="mqtt://127.0.0.1:1"), filters=[], in_flight_max=10)
    nothing: Any = None
    answered: list[int] = []
    monkeypatch.setattr(link._client, "ack", lambda number, _qos: answered.append(number))
    link._on_message(nothing, nothing, message(0))  # QoS 0, as gateways send their health
    link._on_message(nothing, nothing, message(1))
    link.acknowledge(await link.receive(10, 0))
    assert answered == [1]
