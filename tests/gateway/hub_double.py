"""A hub for gateway tests: real MQTT, a set instead of a database, and the power to keep silent."""

import ssl
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core import edge
from core.edge import (
    Ack,
    AckMessage,
    CertificateReply,
    CertificateRequest,
    GatewayState,
    TagRead,
    TapEvent,
)
from firmware_bridge import tap
from tests.fixtures.rings import ring_key
from tests.fixtures.waiting import wait_until

Key = tuple[bytes, int, int]


class HubDouble:
    """Ingest without PostgreSQL: dedupes on (ring, boot, seq), acknowledges what it recorded."""

    def __init__(
        self, url: str, *, acknowledging: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        address = urlsplit(url)
        self.acknowledging = acknowledging
        self.server: Any = None
        """The broker, for tests that start gateways on it."""
        self.refuse: dict[int, edge.RejectCode] = {}
        """By seq: what to refuse, and why."""
        self.rows: dict[Key, TapEvent] = {}
        self.reads: dict[bytes, TagRead] = {}
        self.read_topics: list[str] = []
        """One for each arrival of a read."""
        self.refuse_reads: dict[str, str] = {}
        """By address: what to refuse or defer, and the code."""
        self.arrivals: list[Key] = []
        self.gateways: set[str] = set()
        self.states: list[GatewayState] = []
        self.requests: list[CertificateRequest] = []
        self.certify: Callable[[CertificateRequest], CertificateReply | None] = lambda _: None
        """What to answer to a request for a certificate."""
        self._subscribed = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, client_id="hub-double"
        )
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.username_pw_set(
            unquote(address.username or ""), unquote(address.password or "")
        )
        self._client.reconnect_delay_set(0.1, 0.2)  # pyright: ignore[reportArgumentType]
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect_async(address.hostname or "", address.port or 1883)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(self, *keys: Key, seconds: float = 15.0) -> None:
        wait_until(lambda: set(keys) <= self.rows.keys(), f"all of {len(keys)} taps", seconds)

    def send(self, gateway: str, payload: bytes) -> None:
        """Publish on a gateway's ack topic."""
        self.publish(edge.ack_topic(gateway), payload)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish anything, as a hub may."""
        self._client.publish(topic, payload, qos=1)

    def acknowledge_all(self) -> None:
        """Give the word that was withheld, for everything recorded, to every gateway."""
        self.acknowledging = True
        for gateway in self.gateways:
            for ring, boot, seq in list(self.rows):
                self._answer(gateway, ring, boot, seq)

    def _on_connect(self, client: Client, *_: object) -> None:
        topics = [edge.TAPS_FILTER, edge.READS_FILTER, edge.STATE_FILTER, edge.csr_topic("+")]
        client.subscribe([(topic, 1) for topic in topics])

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        if message.topic.endswith("/state"):
            self.states.append(edge.decode(message.payload, GatewayState))
            return
        if message.topic.endswith("/csr"):
            self._certify(edge.gateway_of(message.topic), message.payload)
            return
        if message.topic.endswith("/sun"):
            self._read(message.topic, edge.decode(message.payload, TagRead))
            return
        event = edge.decode(message.payload, TapEvent)
        key = (event.ring, event.boot, event.seq)
        gateway = edge.gateway_of(message.topic)
        assert message.topic == edge.tap_topic(gateway, event.ring)
        self.gateways.add(gateway)
        self.arrivals.append(key)
        if event.seq not in self.refuse:
            self.rows.setdefault(key, event)
        if self.acknowledging:
            self._answer(gateway, *key)

    def _read(self, topic: str, read: TagRead) -> None:
        gateway = edge.gateway_of(topic)
        self.read_topics.append(topic)
        code = self.refuse_reads.get(read.url, "")
        if not code:
            self.reads.setdefault(read.id, read)
        if self.acknowledging:
            self.send(gateway, edge.encode(AckMessage(reads=[(read.id, code)])))

    def _certify(self, gateway: str, payload: bytes) -> None:
        request = edge.decode(payload, CertificateRequest)
        self.requests.append(request)
        if reply := self.certify(request):
            self.publish(edge.crt_topic(gateway), edge.encode(reply))

    def _answer(self, gateway: str, ring: bytes, boot: int, seq: int) -> None:
        if reason := self.refuse.get(seq):
            ack = Ack(ring=ring, boot=boot, rej=[(seq, reason)])
        else:
            ack = Ack(ring=ring, boot=boot, sack=[(seq, seq)])
        self.send(gateway, edge.encode(AckMessage(acks=[ack])))


def is_genuine(event: TapEvent) -> bool:
    """Tell whether the record in the event carries the tag of the test ring it names."""
    key = ring_key(int.from_bytes(event.ring[4:], "big"))
    return tap.verify(event.raw, ring_id=event.ring, key=key)
