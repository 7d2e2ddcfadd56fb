"""paho's client as every connection of the hub to the broker uses it."""

import socket
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core import ids
from core.config import Mqtt
from core.mqtt_address import MqttAddress
from hub.providers.mqtt_tls import tls_context


def new_client(
    settings: Mqtt, address: MqttAddress, name: str, *, manual_ack: bool = False
) -> Client:
    """Return a client that is not connected: its own id, login and TLS, no session to come back to.

    Raises ConfigError naming the setting when its files are unusable.
    """
    is_v5 = settings.version == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"hub-{name}-{ids.new_token(9)}",
        protocol=MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311,
        clean_session=None if is_v5 else True,
        manual_ack=manual_ack,
    )
    if address.username:
        client.username_pw_set(address.username, address.password)
    if address.tls:
        client.tls_set_context(tls_context(settings))
    client.on_socket_open = _send_at_once
    return client


def space_reconnects(client: Client, first_seconds: float, most_seconds: float) -> None:
    """Let a client that has lost the broker come back after the first wait, later ones doubled."""
    delays: Any = client.reconnect_delay_set  # documented as whole seconds, takes any
    delays(min_delay=first_seconds, max_delay=most_seconds)


def _send_at_once(_client: Client, _data: object, connection: Any) -> None:  # noqa: ANN401  # a socket of any kind
    # Small messages must not wait 40 ms for the acknowledgement of the segment before.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
