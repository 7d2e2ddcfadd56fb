"""`pinghub up` as its user sees it: what it prints works, it stops in time, it comes back."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import config
from hub.embedded.child import free_port
from hub.processes import leftovers
from tests.fixtures.waiting import wait_until

PROJECT = Path(__file__).parents[3]


class Up:
    """A `pinghub up` with everything it has printed so far."""

    def __init__(self, home: Path, hub_port: int, *arguments: str) -> None:
        self.home = home
        names = ("PINGHUB_", *config.ALIASES)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        ports = ("--postgres-port", "--redis-port", "--mqtt-port", "--mqtt-tls-port")
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hub.cli", "up", "--tap-every", "0.5", *arguments),
                *(part for port in ports for part in (port, str(free_port()))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **kept,
                "PINGHUB_HOME": str(home),
                "PINGHUB_CONFIG": str(home / "pinghub.toml"),
                "PINGHUB_SERVER__PORT": str(hub_port),
            },
            cwd=PROJECT,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in self.process.stdout)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_ready(self, seconds: float) -> None:
        def done() -> bool:
            return "is ready after" in self.text or self.process.poll() is not None

        wait_until(done, "the hub to be ready", seconds)
        assert self.process.poll() is None, self.text

    def line_with(self, text: str) -> str:
        return next(line.strip() for line in self.lines if text in line)

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send a signal; return how many seconds it took to end."""
        sent_at = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - sent_at


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    up = Up(home, free_port())
    try:
        up.wait_ready(60)
        yield up
    finally:
        up.stop(signal.SIGKILL)
        leftovers.stop(home)


def test_taps_of_the_virtual_rings_are_printed_as_readable_lines(up: Up):
    wait_until(lambda: re.search(r"\d\d:\d\d:\d\d  \w+ \w+ +tapped ", up.text), "a tap", 20)
    wait_until(lambda: "grace-1" in up.text, "a tap of each user", 20)


def test_the_printed_curl_line_lists_the_latest_taps(up: Up):
    wait_until(lambda: "tapped ada-1" in up.text, "a tap", 20)
    done = subprocess.run(
        up.line_with("/v1/rings/taps"), shell=True, capture_output=True, text=True, check=False
    )
    assert '"kind":"tap_to_phone"' in done.stdout, done.stdout + done.stderr


def test_the_printed_sdk_line_prints_taps(up: Up):
    command = up.line_with("docs/examples/taps.mjs")
    sdk = subprocess.Popen(
        f"exec {command}", shell=True, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    try:
        assert sdk.stdout is not None
        assert "Following the taps of Ada Lovelace" in sdk.stdout.readline()
        assert "tap_to_phone ring" in sdk.stdout.readline()
    finally:
        sdk.kill()
        sdk.wait()


def test_a_second_start_in_the_same_home_is_refused_in_one_line(up: Up, home: Path):
    second = Up(home, free_port())
    assert second.process.wait(20) == 2
    wait_until(lambda: second.lines, "the refusal")
    assert len(second.lines) == 1
    assert f"already running in {home} (pid {up.process.pid})" in second.text


def test_ctrl_c_stops_within_ten_seconds_and_data_survives_until_a_reset(up: Up, home: Path):
    wait_until(lambda: "tapped" in up.text, "a tap", 20)
    assert up.stop() < 10
    assert up.process.returncode == 0
    assert leftovers.find(home) == []
    assert "Traceback" not in up.text
    secrets = (home / "secrets.toml").read_text()

    again = Up(home, free_port())
    try:
        again.wait_ready(60)  # how fast it is, is measured by the benchmarks
        wait_until(lambda: re.search(r"boot 2 seq \d+", again.text), "a tap of the second life", 20)
    finally:
        again.stop(signal.SIGKILL)

    asks = Up(home, free_port(), "--reset")
    assert asks.process.wait(20) == 2
    wait_until(lambda: "--yes" in asks.text, "the advice")
    assert (home / "secrets.toml").read_text() == secrets

    anew = Up(home, free_port(), "--reset", "--yes")
    try:
        anew.wait_ready(60)
        assert (home / "secrets.toml").read_text() != secrets
        # Old rings would be in their third boot. The first taps may be past before one listens.
        wait_until(lambda: "boot 1 seq " in anew.text, "a tap of new rings", 20)
    finally:
        anew.process.send_signal(signal.SIGTERM)
        # The second signal is for the impatient.
        wait_until(lambda: "stopping" in anew.text, "the stop")
        assert anew.stop() < 5
    assert leftovers.find(home) == []


def test_a_port_in_use_is_one_line(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = Up(tmp_path, port)
        assert refused.process.wait(20) == 2
    wait_until(lambda: refused.lines, "the refusal")
    assert len(refused.lines) == 1
    assert re.match(rf"pinghub: port {port} for the hub .* is in use: stop", refused.text)


def test_an_unwritable_folder_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    refused = Up(tmp_path / "file" / "home", free_port())
    assert refused.process.wait(20) == 2
    wait_until(lambda: refused.lines, "the refusal")
    assert len(refused.lines) == 1
    assert "cannot be written" in refused.text
    assert "set PINGHUB_HOME" in refused.text
