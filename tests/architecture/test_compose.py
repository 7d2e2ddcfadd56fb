"""compose.yaml without an engine: its parts fit together, its settings load, its commands exist."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core import config
from hub.embedded import child, containers, mosquitto, mqtt, redis
from hub.embedded.child import free_port
from hub.processes.db import passwords
from tests.fixtures.ports import missing
from tests.hub.test_cli import pinghub

PROJECT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
HAPROXY = PROJECT / "docs" / "deploy" / "haproxy.cfg"
OURS = sorted(name for name, service in SERVICES.items() if service.get("image") == "pinghub")


def test_every_process_of_the_system_has_its_container():
    processes = {"serve", "ingest", "relay", "worker", "scheduler", "gateway", "rings"}
    assert processes | {"postgres", "redis", "mosquitto", "proxy"} <= set(SERVICES)
    assert SERVICES["serve"]["deploy"]["replicas"] == 2


def test_what_is_waited_for_exists_and_can_become_true():
    for name, service in SERVICES.items():
        for other, wish in service.get("depends_on", {}).items():
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"
            else:
                assert SERVICES[other]["restart"] == "no", f"{name} waits for the end of {other}"


def test_only_the_proxy_is_reachable_and_only_from_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:8000:8000"]}


def test_who_comes_through_the_proxy_counts_as_local_for_development_sign_in():
    # Right because of the test above; hub/http/auth.py believes it of a trusted proxy only.
    assert "http-request set-header X-Forwarded-For 127.0.0.1" in HAPROXY.read_text()
    subnet = COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert SERVICES["serve"]["environment"]["PINGHUB_SERVER__TRUSTED_PROXIES"] == subnet


def test_mounted_volumes_and_files_exist():
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (PROJECT / source).exists() if "/" in source else source in COMPOSE["volumes"]
    assert (PROJECT / SERVICES["serve"]["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("name", [name for name in OURS if SERVICES[name].get("command")])
def test_the_command_of_a_container_is_one_of_pinghubs(name: str):
    command = [word for word in SERVICES[name]["command"] if not word.startswith("-")]
    words = command[: 2 if command[0] in {"gateway", "ring"} else 1]
    done = pinghub(*words, "--help")
    assert done.returncode == 0, done.stderr
    for option in (word for word in SERVICES[name]["command"] if word.startswith("--")):
        assert option in done.stdout


def test_the_settings_of_the_containers_load_and_name_each_other(tmp_path: Path):
    containers.write(tmp_path)
    first = (tmp_path / "embedded.toml").read_bytes()
    containers.write(tmp_path)
    assert (tmp_path / "embedded.toml").read_bytes() == first
    environment = {"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "none")}
    for service in OURS:
        settings = config.load({**environment, **SERVICES[service].get("environment", {})})
        assert set(passwords(settings.database)) == {
            *("ping_api", "ping_worker", "ping_system", "ping_owner")
        }
        assert "@postgres:5432/" in settings.database.url
        assert "@redis:6379/" in settings.redis.url
        assert "@mosquitto:1883" in settings.mqtt.url
    assert settings.development.rings_address == "rings:7001"


def test_redis_and_mosquitto_start_with_what_is_written_for_them(tmp_path: Path):
    containers.write(tmp_path)
    # The files as they are, but for the ports, which others may use on this machine.
    redis_port, mqtt_port = free_port(), free_port()
    _replace(tmp_path / "redis" / "redis.conf", "port 6379", f"port {redis_port}")
    _replace(tmp_path / "mqtt" / "mosquitto.conf", "listener 1883", f"listener {mqtt_port}")
    password = (tmp_path / "redis" / "password").read_text()
    program = mosquitto.find() or missing("mosquitto")
    folder = tmp_path / "redis"
    url = f"redis://:{password}@127.0.0.1:{redis_port}"
    server = child.start_service(
        "Redis",
        [str(redis.find_program()), str(folder / "redis.conf")],
        folder=folder,
        port=redis_port,
        ready=lambda: _pongs(url),
    )
    child.Child(*server).stop()
    folder = tmp_path / "mqtt"
    hub_password = mqtt.add_login(tmp_path, mqtt.HUB_LOGIN)
    broker = child.start_service(
        "mosquitto",
        [str(program), "-c", str(folder / "mosquitto.conf")],
        folder=folder,
        port=mqtt_port,
        ready=lambda: mqtt.admits(f"mqtt://hub:{hub_password}@127.0.0.1:{mqtt_port}"),
    )
    child.Child(*broker).stop()


def _pongs(url: str) -> bool:
    try:
        with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
