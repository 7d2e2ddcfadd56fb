"""`python -m hub.embedded.containers`: what the containers of compose.yaml share.

Secrets are generated once, into the folder that all of them mount; every hub process finds its
settings there, the services find their passwords, mosquitto its certificates too.
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from core import authority, config
from hub.embedded import generated, mosquitto_files, mqtt, redis
from hub.embedded.private import kept_password, owned_folder, write_private

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # inside the containers' own network
REDIS_PORT: Final = 6379
MQTT_PORT: Final = 1883
HUB_PORT: Final = 8000
GATEWAY_MQTT_URL: Final = "mqtts://127.0.0.1:8883"
"""For gateways on the machine that runs the containers."""
RINGS_CONTROL: Final = "rings:7001"
RINGS_HCI: Final = "rings:7002"


def write(home: Path) -> None:
    """Write settings and the services' own configuration; again is harmless."""
    owned_folder(home)
    secrets = generated.secrets(home)
    gateway = secrets["gateway"]["id"]
    superuser_password = kept_password(home / "postgres.password")
    redis_folder = owned_folder(home / "redis")
    redis_password = kept_password(redis_folder / "password")
    write_private(
        redis_folder / "redis.conf",
        redis.configuration(redis_folder, REDIS_PORT, redis_password, bind=EVERYWHERE),
    )
    mqtt_folder = owned_folder(home / "mqtt")
    hub_password, gateway_password = (
        mqtt.add_login(home, name) for name in (mqtt.HUB_LOGIN, gateway)
    )
    logins = {mqtt.HUB_LOGIN: hub_password, gateway: gateway_password}
    mosquitto_files.write_logins(mqtt_folder, logins)
    mosquitto_files.write_passwords(mqtt_folder, {mqtt.HUB_LOGIN: hub_password})
    pki = secrets["pki"]
    mosquitto_files.write_certificates(
        mqtt_folder, authority.load(pki["ca_key"], pki["ca_certificate"])
    )
    superuser_url = f"postgresql://postgres:{quote(superuser_password)}@postgres:5432/postgres"
    generated.write_settings(
        home,
        {
            "server": {"mode": "development", "host": EVERYWHERE, "port": HUB_PORT},
            "database": generated.database_urls(superuser_url, secrets["logins"]),
            "redis": {"url": f"redis://:{redis_password}@redis:{REDIS_PORT}/0"},
            "mqtt": {
                "url": f"mqtt://{mqtt.HUB_LOGIN}:{hub_password}@mosquitto:{MQTT_PORT}",
                "dynamic_security": True,
            },
            "pki": {
                **pki,
                "crl_path": str(mqtt_folder / "crl.pem"),
                "gateway_mqtt_url": GATEWAY_MQTT_URL,
            },
            "auth": secrets["auth"],
            "keys": secrets["keys"],
            "gateway": {
                "id": gateway,
                "mqtt_url": f"mqtt://{gateway}:{gateway_password}@mosquitto:{MQTT_PORT}",
                "ble_backend": f"bumble:tcp-client:{RINGS_HCI}",
            },
            "development": {"rings_address": RINGS_CONTROL},
        },
    )


if __name__ == "__main__":
    write(config.home())
