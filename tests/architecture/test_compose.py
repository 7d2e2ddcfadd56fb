"""compose.yaml without an engine: its parts fit together, its settings load, its commands exist."""

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ReasonFlags
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core import authority, clock, config
from hub.embedded import child, containers, mosquitto, mqtt, redis
from hub.embedded.child import free_port
from hub.processes.db import passwords
from hub.providers import revocation_file
from tests.fixtures.ports import missing
from tests.fixtures.waiting import wait_until
from tests.hub.test_cli import pinghub

PROJECT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MOSQUITTO = PROJECT / "docs" / "deploy" / "mosquitto"
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


def test_only_the_proxy_and_the_door_of_gateways_are_reachable_and_only_from_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "proxy": ["127.0.0.1:8000:8000"],
        "mosquitto": ["127.0.0.1:8883:8883"],
    }


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


def test_redis_starts_with_what_is_written_for_it(tmp_path: Path):
    containers.write(tmp_path)
    # The file as it is, but for the port, which others may use on this machine.
    redis_port = free_port()
    _replace(tmp_path / "redis" / "redis.conf", "port 6379", f"port {redis_port}")
    password = (tmp_path / "redis" / "password").read_text()
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


def test_mosquitto_starts_with_the_shipped_configuration_and_reads_what_is_revoked(tmp_path: Path):
    containers.write(tmp_path)
    program = mosquitto.find() or missing("mosquitto")
    folder = tmp_path / "mqtt"
    ports = {name: free_port() for name in ("1883", "8883", "8884")}
    # As docs/deploy/mosquitto/Dockerfile puts the files in their places.
    image = (MOSQUITTO / "Dockerfile").read_text()
    for place in ("/var/lib/mosquitto", "/etc/mosquitto/pinghub"):
        assert f"ln -s /state/mqtt {place}" in image
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "containers.conf").write_text((MOSQUITTO / "containers.conf").read_text())
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text((MOSQUITTO / "mosquitto.conf").read_text())
    for place in ("/var/lib/mosquitto", "/etc/mosquitto/pinghub"):
        _replace(configuration, place, str(folder))
    plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    _replace(configuration, plugin, str(mosquitto.plugin(program)))
    _replace(configuration, "/etc/mosquitto/conf.d", str(conf))
    if os.geteuid() == 0:
        # It is the container's user there.
        _replace(configuration, "allow_anonymous false", "allow_anonymous false\nuser root")
    for port, free in ports.items():
        file = conf / "containers.conf" if port == "1883" else configuration
        _replace(file, f"listener {port}", f"listener {free} localhost")
    settings = config.load(
        {"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "none")}
    )
    crl_path = Path(settings.pki.crl_path)
    url = settings.mqtt.url.replace("mosquitto:1883", f"127.0.0.1:{ports['1883']}")
    broker = child.Child(
        *child.start_service(
            "mosquitto",
            [
                "/bin/sh",
                str((MOSQUITTO / "run-mosquitto").absolute()),
                str(configuration),
                str(crl_path),
            ],
            folder=folder,
            port=ports["1883"],
            ready=lambda: mqtt.admits(url),
            environment={
                **os.environ,
                **(mosquitto.environment(program) or {}),
                "PATH": f"{program.parent}:{os.environ['PATH']}",
            },
        )
    )
    try:
        gateways = authority.load(settings.pki.ca_key, settings.pki.ca_certificate)
        now = clock.now()
        key = ec.generate_private_key(ec.SECP256R1())
        mine = authority.issue_client(gateways, key.public_key(), name="a", now=now, days=1)
        (folder / "a.pem").write_text(authority.pem(mine))
        (folder / "a.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "a.pem", folder / "a.key")
        door = f"mqtts://127.0.0.1:{ports['8883']}"
        assert mqtt.admits(door, context)
        revoked = authority.Revoked(mine.serial_number, now, ReasonFlags.unspecified)
        revocation_file.replace(
            crl_path, authority.revocation_list(gateways, [revoked], number=1, now=now), 1
        )
        wait_until(lambda: not mqtt.admits(door, context), "the broker to refuse", 5)
        assert mqtt.admits(url)
    finally:
        broker.stop()


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
