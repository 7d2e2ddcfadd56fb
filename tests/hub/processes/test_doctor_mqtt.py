"""What `pinghub doctor` says of the MQTT broker that is configured."""

from collections.abc import Callable

import msgspec

from core.config import Mqtt, Settings
from hub.processes import checks
from tests.fixtures.authority import Authority
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.ports import missing
from tests.fixtures.tls_mqtt import TlsMosquitto


def test_a_broker_over_tls_with_dynamic_security_is_well(tls_mosquitto: TlsMosquitto):
    finding = checks.mqtt_broker(Settings(mqtt=tls_mosquitto.settings()))
    assert finding.state == "ok"
    assert finding.detail == "MQTT 5, shared subscriptions, admits and expels gateways"


def test_a_broker_of_another_authority_has_failed(tls_mosquitto: TlsMosquitto, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    settings = msgspec.structs.replace(tls_mosquitto.settings(), ca_file=str(stranger.ca_path))
    finding = checks.mqtt_broker(Settings(mqtt=settings))
    assert finding.state == "failed"
    assert "certificate" in finding.detail


def test_a_missing_ca_file_has_failed_by_its_name(tls_mosquitto: TlsMosquitto):
    settings = msgspec.structs.replace(tls_mosquitto.settings(), ca_file="/nowhere/ca.pem")
    finding = checks.mqtt_broker(Settings(mqtt=settings))
    assert finding.state == "failed"
    assert "mqtt.ca_file" in finding.detail


def test_dynamic_security_that_is_promised_and_not_there_has_failed(
    authority: Authority, start_tls_mosquitto: Callable[..., TlsMosquitto]
):
    broker = start_tls_mosquitto(authority, plugin=False)
    assert checks.mqtt_broker(Settings(mqtt=broker.settings())).state == "ok"
    wrong = msgspec.structs.replace(broker.settings(), dynamic_security=True)
    finding = checks.mqtt_broker(Settings(mqtt=wrong))
    assert finding.state == "failed"
    assert "mqtt.dynamic_security = false" in finding.fix


def test_amqtt_is_said_to_know_no_certificates(start_mqtt: Callable[..., RestartableMqtt]):
    server = start_mqtt("amqtt")
    if server.broker.version != "3.1.1":
        missing("amqtt")
    settings = Mqtt(url=server.url, version="3.1.1", shared_subscription=False)
    finding = checks.mqtt_broker(Settings(mqtt=settings))
    assert finding.state == "ok"
    assert "no certificates" in finding.detail
