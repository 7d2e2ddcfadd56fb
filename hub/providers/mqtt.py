"""The hub's link to the MQTT broker: paho's thread on one side, asyncio on the other.

The session ends with the connection and every connect subscribes anew: nothing is asked of the
broker's memory, because gateways send again whatever was not acknowledged end to end.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from prometheus_client import Counter

from core import clock, log, mqtt_address
from core.config import Mqtt
from hub.providers.mqtt_client import new_client, space_reconnects

_KEEPALIVE_SECONDS: Final = 10
_RESUBSCRIBE_SECONDS: Final = 5.0
# Messages to gateways that wait for the broker's word; what does not fit is dropped, because a
# gateway without its acknowledgement simply sends again.
_OUTGOING_MAX: Final = 2000

_log = log.get("mqtt")
_dropped = Counter(
    "pinghub_mqtt_dropped", "Messages without a receipt (QoS 0) that found the inbox full"
)


class Delivery(msgspec.Struct, frozen=True):
    """A message that waits for `MqttLink.acknowledge`."""

    topic: str
    payload: bytes
    received_ms: int
    message_id: int
    connection: int


class MqttLink:
    """Subscribed whenever the broker can be reached; at most `in_flight_max` unacknowledged.

    So many may wait here as well; what comes then without a receipt (QoS 0) is dropped.
    """

    def __init__(self, settings: Mqtt, *, filters: Sequence[str], in_flight_max: int) -> None:
        self._address = mqtt_address.parse(settings.url, "mqtt.url")
        self._filters = [(name, 1) for name in filters]
        self._is_v5 = settings.version == "5"
        self._in_flight_max = in_flight_max
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._connection = 0
        self.subscribed = asyncio.Event()
        """Set while the broker delivers to us."""
        self._client = self._make_client(settings)

    def start(self) -> None:
        """Begin to connect, for ever."""
        self._spread_reconnects()
        place = (self._address.host, self._address.port, _KEEPALIVE_SECONDS)
        if self._is_v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0
            properties.ReceiveMaximum = self._in_flight_max
            self._client.connect_async(*place, clean_start=True, properties=properties)
        else:
            self._client.connect_async(*place)
        self._client.loop_start()

    async def close(self) -> None:
        """Say good-bye to the broker; what is unacknowledged goes to others or comes again."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def receive(self, batch_max: int, wait_seconds: float) -> list[Delivery]:
        """Return the next messages; after the first, wait a moment for more."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        if len(self._inbox) < batch_max:
            await asyncio.sleep(wait_seconds)
        return [self._inbox.popleft() for _ in range(min(batch_max, len(self._inbox)))]

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Let the broker forget messages, in the order in which they came."""
        for delivery in deliveries:
            # A number of an earlier connection names another message by now; QoS 0 has none, and
            # for an answer to it the broker ends the connection.
            if delivery.message_id and delivery.connection == self._connection:
                self._client.ack(delivery.message_id, 1)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send at least once while connected; without a connection the message is dropped."""
        if self._client.is_connected():
            self._client.publish(topic, payload, qos=1)

    def _make_client(self, settings: Mqtt) -> Client:
        client = new_client(settings, self._address, "ingest", manual_ack=True)
        client.max_inflight_messages = _OUTGOING_MAX
        client.max_queued_messages_set(_OUTGOING_MAX)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

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
        self._connection += 1
        client.subscribe(self._filters)

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        _log.warning("mqtt_unreachable")

    def _on_subscribe(
        self,
        client: Client,
        _data: object,
        _message_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.error("mqtt_subscription_refused", reasons=[str(reason) for reason in reasons])
            self._hand_over(
                self._loop.call_later, _RESUBSCRIBE_SECONDS, client.subscribe, self._filters
            )
            return
        self._hand_over(self.subscribed.set)

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        _log.info("mqtt_disconnected", reason=str(reason))
        self._spread_reconnects()
        self._hand_over(self._disconnected)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        # The broker holds back what waits for a receipt; the rest may come as fast as it can.
        if message.mid == 0 and len(self._inbox) >= self._in_flight_max:
            _dropped.inc()
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._inbox.append(
            Delivery(topic, bytes(message.payload), clock.unix_ms(), message.mid, self._connection)
        )
        # Asked after the append: asked before, the loop could take the last one in between.
        if len(self._inbox) == 1:
            self._hand_over(self._arrived.set)

    def _disconnected(self) -> None:
        self.subscribed.clear()
        # What waits here will come again: keeping it too would let flapping fill the memory.
        while self._inbox and self._inbox[0].connection != self._connection:
            self._inbox.popleft()

    def _spread_reconnects(self) -> None:
        # Jitter, so that a fleet does not return to a restarted broker in one moment.
        first = random.uniform(0.1, 0.5)  # noqa: S311  # jitter
        space_reconnects(self._client, first, first * 16)

    def _hand_over(self, function: Any, *args: Any) -> None:  # noqa: ANN401  # call_soon's own types
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)
