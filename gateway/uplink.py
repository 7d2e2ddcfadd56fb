"""The MQTT connection, a thin shell: paho's network thread bridged to the event loop.

It reconnects for ever with full jitter, subscribes anew on every connect (a broker may have
forgotten), and keeps nothing across connections: what must survive is in the spool.
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core import clock, edge, log, mqtt_address

KEEPALIVE_SECONDS: Final = 20
SESSION_EXPIRY_SECONDS: Final = 3600
"""Commands that the hub sends during a blip are still there afterwards."""
WILL_DELAY_SECONDS: Final = 15
"""A gateway that is back so soon was never reported lost."""
RECEIVE_MAXIMUM: Final = 200
BACKOFF_BASE_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 8.0
"""Short: an outage is over for users only when this wait is."""

_log = log.get("gateway.uplink")


class Listener(msgspec.Struct, frozen=True):
    """Whom the uplink tells what; all are called on the event loop."""

    connected: Callable[[], None]
    disconnected: Callable[[], None]
    published: Callable[[int, int], None]
    """Packet id and reason code of a PUBACK."""
    acknowledged: Callable[[edge.AckMessage], None]
    configured: Callable[[edge.Desired], None]
    called: Callable[[str, bytes, bytes], None]
    """Method, payload and correlation data of a call."""


class Uplink:
    """One gateway's connection to the MQTT broker."""

    def __init__(
        self,
        url: str,
        *,
        gateway: str,
        session: str,
        version: Literal["5", "3.1.1"],
        window: int,
        random: Callable[[], float],
        listener: Listener,
    ) -> None:
        """Prepare; `start` connects."""
        self._address = mqtt_address.parse(url, "gateway.mqtt_url", default_username=gateway)
        self._gateway = gateway
        self._session = session
        self._is_5 = version == "5"
        self._random = random
        self._listener = listener
        self._failures = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_up = False
        self.connects = 0
        self.refused_payloads = 0
        self.problem = ""
        self._farewell: int | None = None
        self._farewell_answered = asyncio.Event()
        self._client = self._make_client(window)

    def start(self) -> None:
        """Connect in the background, now and again for ever."""
        self._loop = asyncio.get_running_loop()
        address = self._address
        if self._is_5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_SECONDS
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            self._client.connect_async(
                address.host,
                address.port,
                KEEPALIVE_SECONDS,
                # A session opened with clean start is not kept by mosquitto over its restart.
                clean_start=False,
                properties=properties,
            )
        else:
            self._client.connect_async(address.host, address.port, KEEPALIVE_SECONDS)
        self._client.loop_start()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes = b"",
    ) -> int | None:
        """Hand a message to the broker; return its packet id, or None while there is no link."""
        if not self.is_up:
            return None
        properties = None
        if self._is_5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = edge.CONTENT_TYPE
            if correlation:
                properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, qos, retain, properties)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def publish_state(self, state: Literal["online", "stopping"]) -> int | None:
        """Tell the gateway's presence."""
        return self.publish(edge.state_topic(self._gateway), self._state(state), retain=True)

    async def stop(self, *, grace_seconds: float = 1.0) -> None:
        """Say goodbye and end; waits for the broker's answer only so long."""
        self._farewell = self.publish_state("stopping")
        if self._farewell is not None:
            try:
                async with asyncio.timeout(grace_seconds):
                    await self._farewell_answered.wait()
            except TimeoutError:
                _log.warning("farewell_unanswered")
        self._loop = None
        self.is_up = False
        self._client.disconnect()
        # In a thread: paho's own may be inside a connect that is timing out.
        await asyncio.to_thread(self._client.loop_stop)

    def _make_client(self, window: int) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=_client_id(self._gateway, self._address.password),
            clean_session=None if self._is_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if self._is_5 else MQTTProtocolVersion.MQTTv311,
        )
        client.username_pw_set(self._address.username, self._address.password or None)
        if self._address.tls:
            client.tls_set_context(ssl.create_default_context())
        client.max_inflight_messages_set(window)
        will = None
        if self._is_5:
            will = Properties(PacketTypes.WILLMESSAGE)
            will.WillDelayInterval = WILL_DELAY_SECONDS
        topic = edge.state_topic(self._gateway)
        client.will_set(topic, self._state("lost"), qos=1, retain=True, properties=will)
        client.on_pre_connect = self._on_pre_connect
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _state(self, state: Literal["online", "stopping", "lost"]) -> bytes:
        return edge.encode(edge.GatewayState(state=state, session=self._session, t=clock.unix_ms()))

    # The methods below run in paho's thread: they only hop to the event loop.

    def _hop(self, call: Callable[..., None], *arguments: object) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(call, *arguments)

    def _on_pre_connect(self, client: paho.Client, _userdata: object) -> None:
        # paho would send its unanswered messages again; the spool decides about that.
        client.drop_out_messages()

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._hop(self._refused, str(reason))
            return
        topics = [
            edge.ack_topic(self._gateway),
            edge.config_topic(self._gateway),
            edge.rpc_topic(self._gateway, "+"),
        ]
        client.subscribe([(topic, 1) for topic in topics])
        self._hop(self._up)

    def _on_connect_fail(self, client: paho.Client, _userdata: object) -> None:
        self._spread_reconnect(client)
        self._hop(self._refused, "unreachable")

    def _on_disconnect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._spread_reconnect(client)
        self._hop(self._down, str(reason))

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._hop(self._published, mid, reason.value)

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._hop(self._refused, f"subscribe: {reasons[0]}")

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        correlation = getattr(message.properties, "CorrelationData", b"")
        self._hop(self._received, message.topic, message.payload, correlation)

    def _spread_reconnect(self, client: paho.Client) -> None:
        ceiling = min(BACKOFF_MAX_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        delay: Any = 0.05 + self._random() * ceiling  # typed int, used as a float
        client.reconnect_delay_set(delay, delay)

    # The methods below run on the event loop.

    def _up(self) -> None:
        self.is_up = True
        self.problem = ""
        self.connects += 1
        self._failures = 0
        _log.info("uplink_connected", connects=self.connects)
        self.publish_state("online")
        self._listener.connected()

    def _refused(self, reason: str) -> None:
        if self.problem != reason:
            _log.warning("uplink_refused", reason=reason)
        self.problem = reason

    def _down(self, reason: str) -> None:
        if not self.is_up:
            return
        self.is_up = False
        self.problem = reason
        _log.warning("uplink_lost", reason=reason)
        self._listener.disconnected()

    def _published(self, mid: int, reason: int) -> None:
        if mid == self._farewell:
            self._farewell_answered.set()
        self._listener.published(mid, reason)

    def _received(self, topic: str, payload: bytes, correlation: bytes) -> None:
        try:
            if topic == edge.ack_topic(self._gateway):
                self._listener.acknowledged(edge.decode(payload, edge.AckMessage))
            elif topic == edge.config_topic(self._gateway):
                self._listener.configured(edge.decode(payload, edge.Desired))
            elif topic.startswith(edge.rpc_topic(self._gateway, "")):
                self._listener.called(topic.rpartition("/")[2], payload, correlation)
        except edge.PayloadError as error:
            self.refused_payloads += 1
            _log.warning("command_malformed", topic=topic.rpartition("/")[2], reason=str(error))


def _client_id(gateway: str, password: str) -> str:
    """Return the same id at each start, which no other login can know.

    A broker ends the connection of whoever had an id before, without asking whose it is.
    """
    return f"gw-{gateway}-{hashlib.sha256(password.encode()).hexdigest()[:16]}"


def _send_at_once(_client: paho.Client, _userdata: object, sock: object) -> None:
    # Without it a tap that follows a PUBACK waits 40 ms for the broker's delayed TCP ACK.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
