"""Addresses of MQTT brokers, as the settings of hub and gateway write them."""

from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from core.errors import ConfigError

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class MqttAddress(Struct, frozen=True):
    """Where a broker is and as whom to log in."""

    host: str
    port: int
    username: str
    password: str
    tls: bool


def parse(url: str, setting: str, *, default_username: str = "") -> MqttAddress:
    """Read `mqtt://user:password@host:port` or `mqtts://…`; ConfigError names the setting."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{setting}: the port is not a number below 65536") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(f"{setting} must look like mqtt://user:password@host:port")
    return MqttAddress(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        username=unquote(parts.username or default_username),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "mqtts",
    )
