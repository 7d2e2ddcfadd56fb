"""One way to read the address of an MQTT broker."""

import pytest

from core.errors import ConfigError
from core.mqtt_address import MqttAddress, parse


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost", "http://127.0.0.1:1883", "mqtt://", "mqtt://[::1"),
        *("mqtt://host:99999", "mqtt://host:x"),
    ],
)
def test_an_address_that_cannot_be_understood_is_refused_by_its_setting(url: str):
    with pytest.raises(ConfigError, match=r"^gateway\.mqtt_url") as refusal:
        parse(url, "gateway.mqtt_url")
    assert "\n" not in str(refusal.value)


def test_a_refusal_does_not_repeat_the_password():
    with pytest.raises(ConfigError) as refusal:
        parse("mqtt://hub:top-secret@host:x", "mqtt.url")
    assert "top-secret" not in str(refusal.value)


def test_an_address_names_the_login_or_leaves_it_to_the_reader():
    assert parse("mqtt://a:b%40c@host:7", "mqtt.url") == MqttAddress("host", 7, "a", "b@c", False)
    alone = parse("mqtts://host", "gateway.mqtt_url", default_username="gw-1")
    assert alone == MqttAddress("host", 8883, "gw-1", "", True)
