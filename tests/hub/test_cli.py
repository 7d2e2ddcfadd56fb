"""The command line: help, exit codes, and that a command imports only what it needs."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import Settings
from hub.cli import app

COMMANDS = (
    *("up", "watch", "doctor", "serve", "ingest", "relay", "worker", "scheduler"),
    *("db", "config", "key", "openapi", "gateway", "ring", "pki", "api-key"),
)


def pinghub(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        check=False,
        timeout=60,
    )


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Return the help of a command, asked in this process."""
    app([*command, "--help"], result_action="return_value")
    return capsys.readouterr().out


def test_help_names_every_command():
    done = pinghub("--help")
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str):
    assert f"pinghub {command}" in help_of(capsys, command)


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("serve", "pinghub serve --workers 4"),
        ("key", "pinghub key)"),
        ("realtime", "pinghub realtime --config"),
        ("api-key create", "pinghub api-key create billing --new-account Billing"),
        ("pki init", "pinghub pki init ./pki"),
        ("pki server", "pinghub pki server ./pki mqtt.example.com"),
        ("pki show", "pinghub pki show --json"),
        ("pki crl", "pinghub pki crl /etc"),
        ("gateway", "pinghub gateway diagnose"),
        ("gateway run", "BLE_BACKEND=bluez:hci1"),
        ("gateway claim", "--hub https://hub.example.com"),
        ("edge add-rings", "pinghub edge add-rings --count 5 --out rings.json"),
    ],
)
def test_commands_show_examples_of_their_own(
    capsys: pytest.CaptureFixture[str], command: str, example: str
):
    assert example in " ".join(help_of(capsys, *command.split()).split())


def test_an_unknown_command_is_refused_without_a_traceback():
    done = pinghub("fly")
    assert done.returncode != 0
    assert "fly" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_config_shows_settings_without_secrets():
    url = "postgresql://ping_api:hunter2@db.example.com/pinghub"
    done = pinghub("config", "--json", DATABASE_URL=url, PINGHUB_KEYS__INDEX_KEY="c0ffee")
    shown = json.loads(done.stdout)
    assert "db.example.com" in shown["database"]["url"]
    assert shown["keys"]["index_key"] == "[redacted]"
    assert "hunter2" not in done.stdout
    assert "c0ffee" not in done.stdout


def test_key_prints_the_first_key_of_the_server_api_or_says_how_to_get_one(tmp_path: Path):
    nowhere = {"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "none")}
    done = pinghub("key", PINGHUB_REALTIME__API_KEYS="first,second", **nowhere)
    assert (done.returncode, done.stdout) == (0, "first\n")
    none = pinghub("key", PINGHUB_REALTIME__API_KEYS="", **nowhere)
    assert none.returncode == 2
    assert "realtime.api_keys" in none.stderr


def test_a_missing_setting_is_one_line_that_names_it(tmp_path: Path):
    done = pinghub("serve", PINGHUB_HOME=str(tmp_path), PINGHUB_CONFIG=str(tmp_path / "none"))
    assert done.returncode == 2
    assert done.stderr.startswith("pinghub: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_is_away_is_one_line_with_a_hint(tmp_path: Path):
    away = "postgresql://ping_system:x@127.0.0.1:9/pinghub"
    done = pinghub("edge", "status", PINGHUB_HOME=str(tmp_path), DATABASE_SYSTEM_URL=away)
    assert done.returncode == 1
    assert done.stderr == (
        "pinghub: service.unavailable: a service does not answer: `pinghub doctor` tells which\n"
    )


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (("gateway", "--help"), ("litestar", "asyncpg", "redis", "taskiq")),
        (("ring", "--help"), ("litestar", "asyncpg", "redis", "taskiq")),
        (("config",), ("litestar", "asyncpg", "redis", "taskiq", "bleak", "paho")),
        # Refused for what is not set, after its imports.
        (("relay",), ("litestar", "taskiq", "aiohttp", "pydantic", "uvicorn")),
    ],
)
def test_a_command_imports_only_its_own_family(
    arguments: tuple[str, ...], forbidden: tuple[str, ...]
):
    program = (
        "import sys; from hub import cli\n"
        f"sys.argv = ['pinghub', *{arguments!r}]\n"
        "try: cli.main()\n"
        f"finally: print('LOADED', [m for m in {forbidden!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_process_looks_for_garbage_but_not_in_what_it_imported(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[bool, int]] = []

    def run(_settings: Settings) -> None:
        seen.append((gc.isenabled(), gc.get_freeze_count()))

    def keep_log(*_: str) -> None:
        """This process logs for its tests."""

    monkeypatch.setattr("hub.processes.relay.run", run)
    monkeypatch.setattr("core.log.configure", keep_log)
    frozen_before = gc.get_freeze_count()
    app(["relay"], result_action="return_value")
    [(looks, frozen)] = seen
    assert looks
    assert frozen > frozen_before


def test_a_reader_that_leaves_early_is_no_failure():
    done = subprocess.run(
        f"{sys.executable} -m hub.cli config | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "[server]\n"
    assert done.stderr == ""
