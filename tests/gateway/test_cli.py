"""`pinghub gateway`: what it shows of a gateway that runs, and of one that does not."""

import json
import os
from typing import get_args

import pytest

from core import clock, config, edge
from core.errors import ConfigError
from gateway import health
from gateway.adapter import backends_of, check_backend, check_backends
from gateway.cli import app
from gateway.diagnose import REFUSED_REMEDIES
from gateway.spool import Stats
from tests.fixtures.authority import Authority
from tests.gateway.claim_double import GATEWAY, claimed


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    monkeypatch.setenv("PINGHUB_CONFIG", str(tmp_path / "none.toml"))
    folder = tmp_path / "gateway"
    folder.mkdir()
    return folder


def a_health(**changes) -> health.Health:
    fields = {
        "gateway": "gw-1",
        "session": "s",
        "pid": os.getpid(),
        "t": clock.unix_ms(),
        "uptime_s": 5,
        "rss_kib": 1,
        "state": "online",
        "mqtt_up": False,
        "mqtt_connects": 1,
        "mqtt_problem": "unreachable",
        "adapters": (health.AdapterHealth(adapter="auto", scanning=True, openings=1, links=1),),
        "rings": (health.RingHealth(ring="00" * 8, state="live", rssi=-50),),
        "spool": Stats(3, 2, 1, clock.unix_ms() - 9000, 4, 0, "disk is full", {"bad_tag": 1}),
        "window": 2,
        "resends": 0,
        "held": 7,
        "delivery_alarm": "no_subscribers",
    }
    return health.Health(**(fields | changes))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        app(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_without_a_running_gateway_status_says_so_and_fails(home, capsys):
    assert run("status") == 1
    assert "pinghub gateway run" in capsys.readouterr().out
    assert run("status", "--json") == 1
    assert json.loads(capsys.readouterr().out) is None


def test_status_shows_what_is_wrong(home, capsys):
    health.write_status(home / "status.json", a_health())
    assert run("status") == 0
    shown = capsys.readouterr().out
    for word in ("DOWN: unreachable", "3 pending, 2 sent", "disk is full", "no_subscribers"):
        assert word in shown
    assert run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spool"]["refused"] == {"bad_tag": 1}


@pytest.mark.parametrize("changes", [{"t": 0}, {"pid": 2**22 - 1}])
def test_what_a_dead_gateway_has_left_is_no_status(home, changes):
    health.write_status(home / "status.json", a_health(**changes))
    assert health.read_status(home / "status.json") is None


def test_half_a_status_file_is_no_status(home):
    (home / "status.json").write_text('{"gateway": "gw')
    assert health.read_status(home / "status.json") is None


def test_the_status_file_is_private(home):
    health.write_status(home / "status.json", a_health())
    assert (home / "status.json").stat().st_mode & 0o777 == 0o600


def test_diagnose_asks_a_running_gateway_and_names_a_remedy_for_each_fault(home, capsys):
    health.write_status(home / "status.json", a_health())
    assert run("diagnose", "--json") == 1
    findings = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    for check in ("settings", "spool", "mqtt", "delivery", "refused: bad_tag"):
        assert not findings[check]["ok"]
        assert findings[check]["remedy"]
    assert findings["bluetooth"]["ok"]


def test_diagnose_alone_looks_at_spool_broker_and_adapter(home, capsys, monkeypatch):
    monkeypatch.setenv("PINGHUB_GATEWAY__ID", "gw-1")
    monkeypatch.setenv("PINGHUB_GATEWAY__MQTT_URL", "mqtt://127.0.0.1:9")
    monkeypatch.setenv("PINGHUB_GATEWAY__BLE_BACKEND", "bumble:tcp-client:127.0.0.1:9")
    (home / "spool.db").write_text("no database")
    assert run("diagnose", "--json") == 1
    findings = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    assert findings["settings"]["ok"]
    assert {name for name, item in findings.items() if not item["ok"]} == {
        "spool",
        "mqtt",
        "bluetooth",
    }
    assert (home / "spool.db").read_text() == "no database"


def test_every_reason_of_the_contract_has_a_remedy():
    assert set(REFUSED_REMEDIES) == set(get_args(edge.RejectCode))


@pytest.mark.parametrize(
    "backend", ["", "bumble", "bumble:", "hci0", "usb:0", "bluez:", "bluez:usb0"]
)
def test_a_backend_that_cannot_be_understood_is_refused(backend):
    with pytest.raises(ConfigError, match=r"gateway\.ble_backend"):
        check_backend(backend)


@pytest.mark.parametrize(
    "backend", ["auto", "bluez:hci1", "bumble:usb:0", "bumble:tcp-client:127.0.0.1:9544"]
)
def test_a_backend_of_either_kind_is_taken(backend):
    check_backend(backend)


def test_several_adapters_take_the_place_of_the_one():
    settings = config.Gateway(ble_backend="nonsense", adapters=("bluez:hci0", "bluez:hci1"))
    check_backends(settings)
    assert backends_of(settings) == ("bluez:hci0", "bluez:hci1")
    assert backends_of(config.Gateway()) == ("auto",)
    with pytest.raises(ConfigError, match=r"gateway\.adapters: .* twice"):
        check_backends(config.Gateway(adapters=("auto", "auto")))


def test_status_shows_how_long_the_certificate_holds_and_what_is_wrong_with_it(home, capsys):
    in_ten_days = clock.unix_ms() + 10 * 24 * 3600 * 1000 + 60_000
    options = {"identity": "certificate", "certificate_expires_ms": in_ten_days}
    health.write_status(home / "status.json", a_health(**options, renewal="asking"))
    run("status")
    assert "certificate, 10 days left, renewal: asking" in capsys.readouterr().out
    problem = a_health(**options, certificate_problem="certificate_refused")
    health.write_status(home / "status.json", problem)
    run("status")
    assert "PROBLEM: certificate_refused" in capsys.readouterr().out
    run("diagnose", "--json")
    findings = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    assert not findings["identity"]["ok"]
    assert "claim anew" in findings["identity"]["remedy"]


@pytest.mark.usefixtures("home")
def test_diagnose_names_what_a_machine_without_bluetooth_lacks(capsys, monkeypatch, tmp_path):
    # What bleak meets where there is no system bus at all.
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    run("diagnose", "--json")
    [found] = [item for item in json.loads(capsys.readouterr().out) if item["check"] == "bluetooth"]
    assert not found["ok"]
    assert "D-Bus" in found["detail"]
    assert "bluez" in found["remedy"]


def test_diagnose_looks_at_certificate_and_broker_of_a_claimed_gateway(
    home, tls_mosquitto, capsys, monkeypatch, tmp_path
):
    tls_mosquitto.admit(GATEWAY)
    folder = claimed(tmp_path / "identity", tls_mosquitto.authority, tls_mosquitto.gateway_url)
    monkeypatch.setenv("PINGHUB_GATEWAY__IDENTITY_PATH", str(folder))
    monkeypatch.setenv("PINGHUB_GATEWAY__BLE_BACKEND", "bumble:tcp-client:127.0.0.1:9")
    run("diagnose", "--json")
    findings = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    assert findings["settings"]["detail"] == f"gateway {GATEWAY}"
    assert findings["identity"]["detail"] == "certificate, 89 days left"
    assert findings["mqtt"]["ok"]
    stranger = Authority(tmp_path / "stranger")
    (folder / "ca.pem").write_text(stranger.ca_pem)
    run("diagnose", "--json")
    findings = {item["check"]: item for item in json.loads(capsys.readouterr().out)}
    assert "hub_not_trusted" in findings["mqtt"]["detail"]
    assert "another CA" in findings["mqtt"]["remedy"]
