"""The embedded broker's door for certificates of the home's own authority."""

import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core import authority, clock
from core.authority import Authority
from core.errors import ConfigError
from core.ids import new_id
from hub.embedded import amqtt, mosquitto, mosquitto_files, mqtt
from hub.embedded.child import free_port
from hub.embedded.mosquitto_files import Door
from hub.providers import revocation_file
from tests.fixtures.mqtt_peer import RefusedError, connected
from tests.fixtures.ports import missing
from tests.fixtures.waiting import wait_until

REFUSED = "Not authorized"
TAKEN = ("Success", "No matching subscribers")


def new_authority() -> Authority:
    made = authority.create("tests", now=clock.now(), years=2)
    return authority.load(made.key, made.certificate)


class Home:
    """A home with an authority and a broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = new_authority()
        self.port, self.door = free_port(), Door(free_port(), self.authority)
        self.broker = self.start()

    def start(self) -> mqtt.Mqtt:
        return mqtt.start(self.folder, self.port, door=self.door)

    def restart(self) -> None:
        self.broker.stop()
        self.broker = self.start()

    def certificate(self, name: str) -> tuple[x509.Certificate, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = authority.issue_client(
            self.authority, key.public_key(), name=name, now=clock.now(), days=1
        )
        path = self.folder / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + private)
        context = ssl.create_default_context(cafile=str(self.folder / "mqtt" / "ca.pem"))
        context.load_cert_chain(path)
        return made, context

    def revoke(self, certificate: x509.Certificate) -> None:
        now = clock.now()
        revoked = authority.Revoked(certificate.serial_number, now, x509.ReasonFlags.unspecified)
        number = clock.unix_ms()
        content = authority.revocation_list(self.authority, [revoked], number=number, now=now)
        revocation_file.replace(self.broker.revocations_path, content, number)

    def is_let_in(self, context: ssl.SSLContext) -> bool:
        try:
            with connected(self.door.port, context):
                return True
        except RefusedError:
            return False


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    if mosquitto.find() is None:
        missing("mosquitto")
    home = Home(tmp_path)
    yield home
    if home.broker.running:
        home.broker.stop()


def test_a_gateway_with_a_login_may_come_by_certificate_too(home: Home):
    name = str(new_id())
    _, context = home.certificate(name)
    with connected(home.door.port, context) as gateway:
        assert gateway.publish(f"ping/v1/gw/{name}/state") == REFUSED
    url = home.broker.gateway_url(name)
    with connected(home.door.port, context) as gateway:
        assert gateway.publish(f"ping/v1/gw/{name}/state") in TAKEN
    assert mqtt.admits(url)


def test_the_door_opens_for_certificates_of_this_home_only(home: Home):
    ours, home.authority = home.authority, new_authority()
    _, context = home.certificate("stranger")
    home.authority = ours
    assert not home.is_let_in(context)
    assert home.is_let_in(home.certificate("ours")[1])
    assert home.broker.certificates_url == f"mqtts://127.0.0.1:{home.door.port}"


def test_a_revoked_certificate_is_refused_when_the_list_has_changed(home: Home):
    certificate, context = home.certificate("a-gateway")
    assert home.is_let_in(context)
    pid = home.broker.pid
    home.revoke(certificate)

    def is_refused() -> bool:
        home.broker.tend()
        return not home.is_let_in(context)

    wait_until(is_refused, "the broker to read the list")
    assert home.is_let_in(home.certificate("another")[1])
    assert home.broker.pid == pid
    home.restart()
    assert not home.is_let_in(context)


def test_a_list_that_is_gone_for_a_moment_does_not_end_the_broker(home: Home):
    _, context = home.certificate("a-gateway")
    home.broker.revocations_path.unlink()
    home.broker.tend()
    assert home.is_let_in(context)
    assert home.broker.running


def test_what_the_plugin_was_told_and_what_the_logins_say_outlive_a_restart(home: Home):
    name = str(new_id())
    url = home.broker.gateway_url(name)
    knowledge = home.folder / "mqtt" / "dynamic-security.json"
    wait_until(lambda: name in knowledge.read_text(), "the plugin to write its file")
    _, context = home.certificate(name)
    for damage in ("", "{", '{"clients": 3}'):
        home.broker.stop()
        if damage:
            knowledge.write_text(damage)
        home.broker = home.start()
        assert mqtt.admits(url)
        with connected(home.door.port, context) as gateway:
            assert gateway.publish(f"ping/v1/gw/{name}/state") in TAKEN


def test_a_gateway_that_the_hub_admitted_is_kept_at_the_next_start(home: Home):
    home.broker.stop()
    path = home.folder / "mqtt" / "dynamic-security.json"
    known = json.loads(path.read_text())
    known["clients"].append({"username": "by-the-hub", "roles": [{"rolename": "gateway-x"}]})
    known["roles"].append({"rolename": "gateway-x", "acls": []})
    path.write_text(json.dumps(known))
    mosquitto_files.write_logins(home.folder / "mqtt", {"hub": "a password"})
    again = json.loads(path.read_text())
    assert {item["username"] for item in again["clients"]} == {"hub", "by-the-hub"}
    assert {item["rolename"] for item in again["roles"]} == {"hub", "gateway-x"}


def test_no_secret_is_readable_by_others(home: Home):
    for path in (home.folder / "mqtt").iterdir():
        if path.suffix in {".key", ".json", ".conf"} or path.name == "passwords":
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_port_in_use_is_named(home: Home, tmp_path: Path):
    taken = Door(home.door.port, home.authority)
    with pytest.raises(ConfigError, match=f"port {home.door.port} for MQTT over TLS is in use"):
        mqtt.start(tmp_path / "second", free_port(), door=taken)


def test_amqtt_has_no_door(tmp_path: Path):
    if not amqtt.installed():
        missing("amqtt's own virtual environment (python -m hub.embedded.fetch --amqtt)")
    door = Door(free_port(), new_authority())
    broker = mqtt.start(tmp_path, free_port(), implementation="amqtt", door=door)
    try:
        assert broker.certificates_url == ""
        assert not broker.dynamic_security
        broker.tend()
        assert mqtt.admits(broker.url)
    finally:
        broker.stop()


def test_a_server_certificate_is_made_anew_at_each_start(home: Home):
    path = home.folder / "mqtt" / "server.pem"
    first = x509.load_pem_x509_certificate(path.read_bytes())
    home.restart()
    second = x509.load_pem_x509_certificate(path.read_bytes())
    assert first.serial_number != second.serial_number
    assert second.not_valid_after_utc - clock.now() > timedelta(days=300)


def test_the_hubs_role_is_the_one_that_is_shipped_for_production():
    shipped = json.loads(Path("docs/deploy/mosquitto/dynamic-security.json").read_text())
    [role] = shipped["roles"]
    ours = {(acl.acltype, acl.topic) for acl in mosquitto_files._HUB_ACLS}
    assert {(acl["acltype"], acl["topic"]) for acl in role["acls"]} == ours
    assert role["rolename"] == mosquitto_files.HUB_LOGIN
