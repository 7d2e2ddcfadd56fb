"""What systemd hears of a gateway, and the unit that it is started by."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from gateway import supervisor
from tests.gateway.processes import NOWHERE, GatewayProcess

UNIT = Path(__file__).parents[2] / "docs" / "deploy" / "pinghub-gateway.service"


@pytest.fixture
def ears(tmp_path, monkeypatch):
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(place))
        ears.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place))
        yield ears


def test_a_gateway_tells_that_it_is_ready_alive_and_stopping(ears, tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "90000")
    gateway = GatewayProcess(tmp_path, url="mqtt://127.0.0.1:9", ble_backend=NOWHERE)
    gateway.start()
    heard = [ears.recv(100) for _ in range(4)]
    assert heard[0] == b"READY=1"
    assert set(heard[1:]) == {b"WATCHDOG=1"}
    assert gateway.stop() == 0
    while heard[-1] != b"STOPPING=1":
        heard.append(ears.recv(100))


async def test_a_watchdog_of_another_process_is_left_alone(ears, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "90000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await supervisor.keep_alive()
    ears.setblocking(False)
    with pytest.raises(BlockingIOError):
        ears.recv(100)


@pytest.mark.parametrize("place", ["", "relative", "/nonexistent/socket", "@nobody-listens-here"])
def test_without_a_supervisor_nothing_happens(monkeypatch, place):
    monkeypatch.setenv("NOTIFY_SOCKET", place)
    supervisor.notify("READY=1")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_valid(tmp_path):
    text = UNIT.read_text().replace("/opt/pinghub/bin/python", shutil.which("python3") or "")
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert complaints == []
    assert checked.returncode == 0, checked.stderr
