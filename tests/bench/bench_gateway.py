"""What a gateway costs while nothing happens."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.waiting import wait_until
from tests.gateway.processes import GatewayProcess

pytestmark = pytest.mark.bench

IDLE_RINGS = 20
IDLE_SECONDS = 20.0


@pytest.fixture
def gateway(start_rings, start_mqtt, tmp_path) -> Iterator[GatewayProcess]:
    rings = start_rings(count=IDLE_RINGS)
    folder = tmp_path / "gw"
    folder.mkdir()
    url = start_mqtt().gateway_url("gw-1")
    process = GatewayProcess(folder, url=url, ble_backend=rings.ble_backend)
    process.start()
    yield process
    process.stop()


def test_idle_with_20_rings_is_small_and_quiet(gateway):
    wait_until(lambda: gateway.ask("status").stdout.count(" live ") == IDLE_RINGS, "the rings", 60)
    assert gateway._process is not None
    stat = Path(f"/proc/{gateway._process.pid}")
    cpu_before = _cpu_seconds(stat)
    time.sleep(IDLE_SECONDS)  # a measurement, not a wait
    cpu_percent = 100 * (_cpu_seconds(stat) - cpu_before) / IDLE_SECONDS
    rss_mib = int((stat / "statm").read_text().split()[1]) * resource.getpagesize() / 1024**2
    print(f"\nidle, {IDLE_RINGS} rings: {rss_mib:.1f} MiB resident, {cpu_percent:.2f} % of a core")
    assert rss_mib <= 60
    assert cpu_percent <= 3


def _cpu_seconds(stat: Path) -> float:
    fields = (stat / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
