"""The embedded MQTT broker: logins, fences, retained messages, a gateway added while it runs."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from core.errors import ConfigError
from core.ids import new_id
from hub.embedded import amqtt, mosquitto_files, mqtt
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.ports import missing

Start = Callable[..., RestartableMqtt]
DEADLINE_SECONDS = 5.0


class Peer:
    """A connected client that writes down what reaches it."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._topics: queue.Queue[str] = queue.Queue()
        self._subscribed: queue.Queue[bool] = queue.Queue()
        client.on_message = lambda _client, _data, message: self._topics.put(message.topic)
        client.on_subscribe = lambda *_arguments: self._subscribed.put(True)

    def subscribe(self, topic_filter: str) -> None:
        self._client.subscribe(topic_filter, qos=1)
        self._subscribed.get(timeout=DEADLINE_SECONDS)

    def publish(self, topic: str, *, retain: bool = False) -> None:
        # Without a connection it waits for the next one.
        with suppress(RuntimeError):
            self._client.publish(topic, b"payload", qos=1, retain=retain).wait_for_publish(
                DEADLINE_SECONDS
            )

    def publish_unasked(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=0).wait_for_publish(DEADLINE_SECONDS)

    def next_topic(self) -> str:
        return self._topics.get(timeout=DEADLINE_SECONDS)


@contextmanager
def connected(url: str, version: str = "5") -> Iterator[Peer]:
    address = urlsplit(url)
    protocol = paho.MQTTv5 if version == "5" else paho.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
    client.username_pw_set(address.username, address.password)
    answers: queue.Queue[bool] = queue.Queue()
    client.on_connect = lambda _c, _d, _f, reason, _p: answers.put(not reason.is_failure)
    client.connect(address.hostname or "", address.port or 0)
    client.loop_start()
    try:
        if not answers.get(timeout=DEADLINE_SECONDS):
            raise PermissionError(address.username)
        yield Peer(client)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture(params=["mosquitto", "amqtt"])
def server(request: pytest.FixtureRequest, start_mqtt: Start) -> RestartableMqtt:
    if request.param == "amqtt":
        if not amqtt.installed():
            missing("amqtt's own virtual environment (python -m hub.embedded.fetch --amqtt)")
        return start_mqtt("amqtt")
    return start_mqtt()


def test_a_gateway_writes_only_its_own_subtree(server: RestartableMqtt):
    mine, other = str(new_id()), str(new_id())
    version = server.broker.version
    with (
        connected(server.url, version) as hub,
        connected(server.gateway_url(mine), version) as gateway,
    ):
        hub.subscribe("ping/v1/#")
        gateway.publish(f"ping/v1/gw/{other}/state")
        gateway.publish(f"ping/v1/cmd/gw/{mine}/ack")
        gateway.publish(f"ping/v1/gw/{mine}/state")
        # Only the third arrives; the order of one publisher's messages is kept.
        assert hub.next_topic() == f"ping/v1/gw/{mine}/state"


def test_a_gateway_hears_only_its_own_commands(server: RestartableMqtt):
    mine, other = str(new_id()), str(new_id())
    version = server.broker.version
    with (
        connected(server.url, version) as hub,
        connected(server.gateway_url(mine), version) as gateway,
    ):
        gateway.subscribe(f"ping/v1/cmd/gw/{other}/#")
        gateway.subscribe("ping/v1/gw/#")
        gateway.subscribe(f"ping/v1/cmd/gw/{mine}/#")
        hub.publish(f"ping/v1/cmd/gw/{other}/ack")
        hub.publish(f"ping/v1/gw/{other}/state")
        hub.publish(f"ping/v1/cmd/gw/{mine}/ack")
        assert gateway.next_topic() == f"ping/v1/cmd/gw/{mine}/ack"


def test_a_message_of_no_sane_size_reaches_nobody(start_mqtt: Start):
    server = start_mqtt()
    if server.broker.version != "5":
        missing("mosquitto")
    mine = str(new_id())
    with connected(server.url) as hub, connected(server.gateway_url(mine)) as gateway:
        hub.subscribe("ping/v1/#")
        gateway.publish_unasked(f"ping/v1/gw/{mine}/large", bytes(mosquitto_files.PACKET_MAX_BYTES))
        # The broker hangs up; what follows comes on a new connection.
        gateway.publish(f"ping/v1/gw/{mine}/state")
        assert hub.next_topic() == f"ping/v1/gw/{mine}/state"


def test_a_gateway_added_while_the_broker_runs_may_connect_at_once(server: RestartableMqtt):
    with connected(server.gateway_url(str(new_id())), server.broker.version) as gateway:
        gateway.subscribe("ping/v1/cmd/gw/none/#")


def test_a_wrong_password_is_refused(server: RestartableMqtt):
    gateway = str(new_id())
    server.gateway_url(gateway)
    with (
        pytest.raises(PermissionError),
        connected(f"mqtt://{gateway}:wrong@127.0.0.1:{server.port}", server.broker.version),
    ):
        pass


def test_a_retained_message_survives_a_restart(start_mqtt: Start):
    server = start_mqtt()
    if server.broker.version != "5":
        missing("mosquitto")
    topic = f"ping/v1/gw/{new_id()}/state"
    with connected(server.url) as hub:
        hub.publish(topic, retain=True)
    server.restart()
    with connected(server.url) as hub:
        hub.subscribe("ping/v1/#")
        assert hub.next_topic() == topic


def test_logins_survive_sigkill_and_restart(server: RestartableMqtt):
    url = server.gateway_url("a-gateway")
    server.kill()
    server.restart()
    assert server.gateway_url("a-gateway") == url
    with connected(url, server.broker.version):
        pass


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "a:b", "a\nb", "x" * 65])
def test_a_login_that_would_be_a_wildcard_is_refused(name: str, tmp_path):
    with pytest.raises(ConfigError, match="cannot be an MQTT login"):
        mqtt.add_login(tmp_path, name)
