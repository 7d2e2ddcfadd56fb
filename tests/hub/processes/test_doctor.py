"""`pinghub doctor` on a machine with nothing, with everything, and with parts broken."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core import authority, clock, config
from core.config import Settings
from hub.processes import checks
from tests.fixtures.gateway_identity import PKI
from tests.fixtures.ports import free_port
from tests.fixtures.stack import Stack

_ENDS_SOON = authority.create("Ends", now=clock.now() - timedelta(days=265), years=1)
ENDING = config.Pki(ca_key=_ENDS_SOON.key, ca_certificate=_ENDS_SOON.certificate)


def doctor(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    report: dict[str, Any] = json.loads(done.stdout)
    return {check["name"]: check["state"] for check in report["checks"]}


def clean_environment(home: Path) -> dict[str, str]:
    names = ("PINGHUB_", *config.ALIASES)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**kept, "PINGHUB_HOME": str(home), "PINGHUB_CONFIG": str(home / "pinghub.toml")}


def test_before_the_first_start_nothing_has_failed(tmp_path: Path):
    done = doctor(clean_environment(tmp_path / "none"), "--json")
    assert done.returncode == 0, done.stdout
    found = states(done)
    assert found["PostgreSQL"] == found["Redis"] == found["Hub"] == "idle"
    assert "failed" not in found.values()


def test_a_running_system_is_healthy(stack: Stack):
    done = doctor(stack.environment, "--json")
    assert states(done) == dict.fromkeys(states(done), "ok")
    assert done.returncode == 0
    table = doctor(stack.environment)
    assert table.returncode == 0
    assert "PostgreSQL" in table.stdout
    assert "failed" not in table.stdout


@pytest.mark.parametrize(
    ("setting", "address", "name"),
    [
        ("DATABASE_URL", "postgresql://ping_api:x@127.0.0.1:{port}/none", "PostgreSQL"),
        ("REDIS_URL", "redis://127.0.0.1:{port}/0", "Redis"),
        ("MQTT_URL", "mqtt://hub:x@127.0.0.1:{port}", "MQTT broker"),
    ],
)
def test_an_address_that_does_not_answer_fails_with_a_hint_and_without_its_password(
    tmp_path: Path, setting: str, address: str, name: str
):
    environment = clean_environment(tmp_path) | {setting: address.format(port=free_port())}
    done = doctor(environment, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["healthy"] is False
    finding = next(check for check in report["checks"] if check["name"] == name)
    assert finding["state"] == "failed"
    assert setting in finding["fix"]
    assert ":x@" not in done.stdout
    assert done.stderr == ""


def test_a_secret_that_others_may_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    secret = tmp_path / "secrets.toml"
    secret.touch(mode=0o600)
    assert checks.home(Settings()).state == "ok"
    secret.chmod(0o644)
    finding = checks.home(Settings())
    assert finding.state == "failed"
    assert finding.fix == f"chmod 600 {secret}"


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path):
    done = doctor(clean_environment(tmp_path) | {"PINGHUB_SERVER__PORT": "nine"})
    assert done.returncode == 2
    assert done.stderr == "pinghub: setting server.port: Expected `int`, got `str`\n"


@pytest.mark.parametrize(
    ("pki", "state", "word"),
    [
        (config.Pki(), "idle", "cannot be claimed"),
        (PKI, "ok", "lasts another 36"),
        (replace(PKI, gateway_mqtt_url=""), "idle", "no address"),
        (replace(PKI, ca_certificate="none"), "failed", "cannot be read"),
        (ENDING, "failed", "lasts another 99 days"),
    ],
)
def test_the_authority_of_gateways_is_looked_at_before_it_ends(
    pki: config.Pki, state: str, word: str
):
    finding = checks.authority(Settings(pki=pki))
    assert finding.state == state
    assert word in finding.detail
    assert (finding.fix == "") == (state == "ok")
    assert "PRIVATE" not in finding.detail + finding.fix
