"""Messages that the hub sends of its own accord, and the answers to them.

Connected from the first use on: a process that never sends needs no broker. Unlike ingest's link it
tells the caller what became of each message.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core import config, edge, log, mqtt_address
from core.config import Mqtt
from core.db import assert_no_transaction
from core.errors import DomainError
from hub.providers.mqtt_client import new_client, space_reconnects

_KEEPALIVE_SECONDS: Final = 20
_BROKER_SECONDS: Final = 3.0
"""How long the broker may take to let us in, and to take a message."""
_RECONNECT_SECONDS: Final = (0.1, 2.0)
"""A caller waits: no longer than `_BROKER_SECONDS` in all."""
_ANSWERS_MAX: Final = 64
"""Answers of one topic that wait to be read; who sends more loses them."""
_NOBODY_LISTENS: Final = 0x10
_FAILURE: Final = 0x80
"""From this MQTT reason code on, it was refused."""

_log = log.get("mqtt_sender")


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What MQTT 5 can say beside a message; 3.1.1 leaves it out."""

    expires_seconds: int | None = None
    response_topic: str = ""
    correlation: bytes = b""


_NO_EXTRAS: Final = Extras()


class MqttSender:
    """One connection to the broker, made when it is first needed and then kept."""

    def __init__(self, settings: Mqtt) -> None:
        self._settings = settings
        self._is_v5 = settings.version == "5"
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected = asyncio.Event()
        self._taken: dict[int, asyncio.Future[int]] = {}
        """By packet id: futures of the broker's reason code."""
        self._readers: dict[str, list[asyncio.Queue[bytes]]] = {}

    async def close(self) -> None:
        """End the connection; who still waits for the broker is told that it is away."""
        client, self._client, self._loop = self._client, None, None
        self._lose_all()
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, extras: Extras = _NO_EXTRAS
    ) -> bool:
        """Return when the broker has taken the message; False: it says that nobody listens.

        Raises DomainError("service.unavailable") while the broker is away or refuses.
        """
        client = await self._ready()
        info = client.publish(topic, payload, 1, retain, self._properties(extras))
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise _unavailable()
        reason = await self._answer(info.mid)
        if reason == _NOBODY_LISTENS:
            return False
        if reason >= _FAILURE:
            _log.error("publish_refused", reason=reason)
            raise _unavailable()
        return True

    @asynccontextmanager
    async def answers(self, topic: str) -> AsyncGenerator[asyncio.Queue[bytes]]:
        """Deliver what arrives on a topic from now on, until the block ends."""
        client = await self._ready()
        queue: asyncio.Queue[bytes] = asyncio.Queue(_ANSWERS_MAX)
        readers = self._readers.setdefault(topic, [])
        readers.append(queue)
        try:
            # Also when another one listens already: its own subscription may be under way.
            result, mid = client.subscribe(topic, 1)
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
                raise _unavailable()
            if await self._answer(mid) >= _FAILURE:
                _log.error("subscription_refused", topic=topic)
                raise _unavailable()
            yield queue
        finally:
            readers.remove(queue)
            if not readers:
                self._readers.pop(topic, None)
                client.unsubscribe(topic)

    async def _ready(self) -> Client:
        assert_no_transaction()
        client = self._client = self._client or self._connect()
        try:
            async with asyncio.timeout(_BROKER_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            raise _unavailable() from None
        return client

    async def _answer(self, mid: int) -> int:
        future = self._taken[mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_BROKER_SECONDS):
                return await future
        except TimeoutError:
            raise _unavailable() from None
        finally:
            self._taken.pop(mid, None)

    def _connect(self) -> Client:
        self._loop = asyncio.get_running_loop()
        address = mqtt_address.parse(config.require(self._settings.url, "mqtt.url"), "mqtt.url")
        client = new_client(self._settings, address, "sender")
        client.on_pre_connect = _forget_what_failed
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        space_reconnects(client, *_RECONNECT_SECONDS)
        client.connect_async(address.host, address.port, _KEEPALIVE_SECONDS)
        client.loop_start()
        return client

    def _properties(self, extras: Extras) -> Properties | None:
        if not self._is_v5:
            return None
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = edge.CONTENT_TYPE
        if extras.expires_seconds is not None:
            properties.MessageExpiryInterval = extras.expires_seconds
        if extras.response_topic:
            properties.ResponseTopic = extras.response_topic
        if extras.correlation:
            properties.CorrelationData = extras.correlation
        return properties

    # The callbacks run in paho's thread: they hand over and return.

    def _on_connect(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _log.warning("mqtt_refused", reason=str(reason))
            return
        if topics := [(topic, 1) for topic in list(self._readers)]:
            client.subscribe(topics)
        self._hand_over(self._connected.set)

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._hand_over(self._lose_all)

    def _on_publish(
        self,
        _client: Client,
        _data: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._hand_over(self._settle, mid, reason.value)

    def _on_subscribe(
        self,
        _client: Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._hand_over(self._settle, mid, max(reason.value for reason in reasons))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._hand_over(self._deliver, message.topic, bytes(message.payload))

    def _hand_over(self, function: Any, *args: Any) -> None:  # noqa: ANN401  # call_soon's own types
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function, *args)

    # The methods below run on the event loop.

    def _settle(self, mid: int, reason: int) -> None:
        future = self._taken.get(mid)
        if future is not None and not future.done():
            future.set_result(reason)

    def _lose_all(self) -> None:
        self._connected.clear()
        for future in self._taken.values():
            if not future.done():
                future.set_exception(_unavailable())

    def _deliver(self, topic: str, payload: bytes) -> None:
        for queue in self._readers.get(topic, ()):
            if not queue.full():
                queue.put_nowait(payload)


def _unavailable() -> DomainError:
    return DomainError("service.unavailable", "The MQTT broker cannot be reached.")


def _forget_what_failed(client: Client, _data: object) -> None:
    # What the broker did not take before a disconnect has failed, and the caller knows it.
    client.drop_out_messages()
