"""`pinghub ring`: what it prints, and what it says of bad input."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConfigError, DomainError
from firmware_bridge import cli, sun
from firmware_bridge.durations import parse_duration
from tests.fixtures.ports import free_port
from tests.fixtures.rings import RingsProcess, ring_entry, ring_id, ring_key

NAME = ring_id(1).hex()


@pytest.fixture
def rings(
    start_rings: Callable[..., RingsProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RingsProcess:
    process = start_rings(count=2)
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    monkeypatch.setenv("PINGHUB_DEVELOPMENT__RINGS_ADDRESS", process.control)
    monkeypatch.setenv("PINGHUB_SERVER__PUBLIC_URL", "https://ping.example/")
    return process


def run(*arguments: str) -> None:
    cli.app(arguments, result_action="return_value")


def test_press_list_link_and_reboot_print_their_results(rings: RingsProcess, capsys):
    run("press", NAME, "--kind", "button")
    assert capsys.readouterr().out == "boot 1 seq 1\n"
    run("list", "--control", rings.control)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{NAME}  test-1           alone, boot 1, seq 1, 1 waiting"
    assert len(lines) == 2
    run("link", NAME)
    link = capsys.readouterr().out.strip()
    assert link.startswith("https://ping.example/t?picc_data=")
    assert sun.read(sun.parse(link), bytes(16), lambda _uid: ring_key(1)).counter == 1
    run("reboot", NAME)
    assert capsys.readouterr().out == "boot 2\n"


def test_rings_without_identity_cannot_touch(rings: RingsProcess):
    with pytest.raises(DomainError, match="no id_key"):
        run("touch", NAME, ring_id(2).hex(), "--control", rings.control)


def test_an_unknown_ring_is_not_found(rings: RingsProcess):
    with pytest.raises(DomainError) as caught:
        run("press", "ffffffffffffffff", "--control", rings.control)
    assert caught.value.code == "ring.not_found"


def test_rings_that_are_not_there_are_unavailable():
    with pytest.raises(DomainError) as caught:
        run("press", NAME, "--control", f"127.0.0.1:{free_port()}")
    assert caught.value.code == "service.unavailable"


def test_without_an_address_the_setting_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    monkeypatch.delenv("PINGHUB_DEVELOPMENT__RINGS_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match=r"development\.rings_address"):
        run("list")


@pytest.mark.parametrize("text", ["", "here", "here:", ":1", "here:port", "here:65536", "a:-1"])
def test_an_address_is_host_and_port(text: str):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        cli.parse_address(text)


def test_addresses_may_be_of_ip_version_6():
    assert cli.parse_address("[::1]:9544") == ("::1", 9544)


@pytest.mark.parametrize(("text", "seconds"), [("4s", 4), ("500ms", 0.5), ("2m", 120), ("3", 3)])
def test_intervals_have_units(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["x", "s", "-1s", "0s", "1h", "nan", "inf", "1sm"])
def test_an_interval_without_sense_is_refused(text: str):
    with pytest.raises(ConfigError, match="interval"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        ("", "cannot be read"),
        ("{}", "cannot be read"),
        ("[]", "must list rings"),
        (json.dumps([ring_entry(1), ring_entry(1)]), "once"),
        (json.dumps([ring_entry(1) | {"device_id": "xyz"}]), "cannot be read"),
        (json.dumps([ring_entry(1) | {"tap_key": "00"}]), "cannot be read"),
    ],
)
def test_a_bad_rings_file_is_one_line(tmp_path: Path, content: str | None, problem: str):
    file = tmp_path / "rings.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        run("simulate", "--rings", str(file), "--home", str(tmp_path))
    assert ring_key(1).hex() not in str(caught.value)


def test_a_port_in_use_is_one_line(rings: RingsProcess, tmp_path: Path):
    options = ["--rings", str(rings.rings_file), "--home", str(tmp_path / "other")]
    with pytest.raises(ConfigError, match="cannot start"):
        run("simulate", *options, "--control", rings.control)


@pytest.mark.parametrize(("address", "code"), [("nonsense", 2), ("127.0.0.1:{free}", 1)])
def test_expected_failures_end_with_a_line_and_a_code(address: str, code: int):
    address = address.format(free=free_port())
    command = [sys.executable, "-m", "firmware_bridge.cli", "list", "--control", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
