"""The MQTT connection, a thin shell: paho's network thread bridged to the event loop.

It reconnects for ever with full jitter, subscribes anew on every connect (a broker may have
forgotten), and keeps nothing across connections: what must survive is in the spool.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core import clock, edge, log
from gateway import refusals
from gateway.access import Access
from gateway.credentials import Credentials, CredentialsError, Faults

KEEPALIVE_SECONDS: Final = 20
SESSION_EXPIRY_SECONDS: Final = 3600
"""Commands that the hub sends during a blip are still there afterwards."""
WILL_DELAY_SECONDS: Final = 15
"""A gateway that is back so soon was never reported lost."""
RECEIVE_MAXIMUM: Final = 200
BACKOFF_BASE_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 8.0
"""Short: an outage is over for users only when this wait is."""
# CONNACK: bad user name or password, not authorised, banned; paho tells 3.1.1's in these too.
_LOGIN_REFUSED: Final = (0x86, 0x87, 0x8A)

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
    refused: Callable[[], None]
    """An attempt to connect has failed; `problem` says why."""
    certified: Callable[[edge.CertificateReply], None]


class Uplink:
    """One gateway's connection to the MQTT broker."""

    def __init__(
        self,
        access: Access,
        *,
        session: str,
        version: Literal["5", "3.1.1"],
        window: int,
        random: Callable[[], float],
        listener: Listener,
    ) -> None:
        """Prepare; `start` connects."""
        self._access = access
        self._address = access.address
        self._gateway = access.gateway
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
        folder = access.identity_path
        self._credentials = Credentials(folder) if folder else None
        self._faults = Faults()
        self._is_answered = False
        self._resubscribing: asyncio.TimerHandle | None = None
        self._window = window
        self._client = self._make_client()

    @property
    def shown_on_trial(self) -> bool:
        """Whether the latest connection has shown the successor of the certificate."""
        return self._credentials is not None and self._credentials.shown_on_trial

    def show(self, *, on_trial: bool) -> None:
        """Choose which certificate the next connection shows."""
        if self._credentials is not None:
            self._credentials.on_trial = on_trial

    def start(self) -> None:
        """Connect in the background, now and again for ever."""
        self._loop = asyncio.get_running_loop()
        self._connect()

    async def reconnect(self, *, on_trial: bool) -> None:
        """End the connection, or the attempt, and begin anew with the other certificate."""
        self._down("renewing")
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self.show(on_trial=on_trial)
        self._client = self._make_client()
        self._connect()

    def _connect(self) -> None:
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

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._access.client_id,
            clean_session=None if self._is_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if self._is_5 else MQTTProtocolVersion.MQTTv311,
        )
        if self._credentials is not None:
            client.tls_set_context(self._credentials.fresh_context())
        else:
            client.username_pw_set(self._address.username, self._address.password or None)
            if self._address.tls:
                client.tls_set_context(ssl.create_default_context())
        client.enable_logger(self._faults.logger)
        client.max_inflight_messages_set(self._window)
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
        self._is_answered = False
        self._faults.last = None
        if self._credentials is not None:
            self._credentials.show()

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._is_answered = True
            self._hop(self._rejected, str(reason), reason.value in _LOGIN_REFUSED)
            return
        self._subscribe(client)

    def _on_connect_fail(self, client: paho.Client, _userdata: object) -> None:
        self._spread_reconnect(client)
        self._hop(self._failed, sys.exc_info()[1])

    def _on_disconnect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._spread_reconnect(client)
        if not self._is_answered:
            self._hop(self._failed, self._faults.last or EOFError())
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
        self._is_answered = True
        refused = next((reason for reason in reasons if reason.is_failure), None)
        if refused is None:
            self._hop(self._up)
            return
        # Without its commands a gateway would never hear the hub's word: it is not connected.
        self._hop(self._rejected, f"subscribe: {refused}", refused.value in _LOGIN_REFUSED)
        self._hop(self._subscribe_later)

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

    def _subscribe(self, client: paho.Client) -> None:
        topics = [
            edge.ack_topic(self._gateway),
            edge.config_topic(self._gateway),
            edge.rpc_topic(self._gateway, "+"),
            edge.crt_topic(self._gateway),
        ]
        client.subscribe([(topic, 1) for topic in topics])

    # The methods below run on the event loop.

    def _subscribe_later(self) -> None:
        if self._resubscribing is not None:
            self._resubscribing.cancel()
        delay = BACKOFF_BASE_SECONDS + self._random() * BACKOFF_MAX_SECONDS
        loop = asyncio.get_running_loop()
        self._resubscribing = loop.call_later(delay, self._subscribe_again)

    def _subscribe_again(self) -> None:
        if not self.is_up and self._loop is not None:
            self._subscribe(self._client)

    def _up(self) -> None:
        if self.is_up:
            return
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

    def _rejected(self, reason: str, is_login: bool) -> None:
        credentials = self._credentials
        if credentials is not None and is_login:
            reason = refusals.refused(credentials.validity, clock.unix_ms())
        self._refused(reason)
        self._listener.refused()

    def _failed(self, error: BaseException | None) -> None:
        if isinstance(error, CredentialsError):
            _log.warning("credentials_unusable", reason=str(error))
            self._refused("identity_damaged")
        else:
            validity = self._credentials.validity if self._credentials else None
            self._refused(refusals.problem_of(error, validity, clock.unix_ms()))
        self._listener.refused()

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
            elif topic == edge.crt_topic(self._gateway):
                self._listener.certified(edge.decode(payload, edge.CertificateReply))
            elif topic.startswith(edge.rpc_topic(self._gateway, "")):
                self._listener.called(topic.rpartition("/")[2], payload, correlation)
        except edge.PayloadError as error:
            self.refused_payloads += 1
            _log.warning("command_malformed", topic=topic.rpartition("/")[2], reason=str(error))


def _send_at_once(_client: paho.Client, _userdata: object, sock: object) -> None:
    # Without it a tap that follows a PUBACK waits 40 ms for the broker's delayed TCP ACK.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
