"""A gateway as a test starts it: in this process, or as the process `pinghub gateway run`."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from core import config
from firmware_bridge import tap
from gateway.daemon import Gateway
from gateway.recent_log import RecentLog
from tests.fixtures.ports import free_port
from tests.fixtures.rings import ring_id, ring_key
from tests.fixtures.waiting import wait_until

NOWHERE = "bumble:tcp-client:127.0.0.1:9"
"""A Bluetooth adapter that is never there."""


@asynccontextmanager
async def running_gateway(url: str, folder: Path, **options: Any) -> AsyncIterator[Gateway]:
    """Run a gateway in this process."""
    chosen = {"id": "gw-1", "ble_backend": NOWHERE, "spool_path": str(folder / "spool.db")}
    settings = config.Settings(gateway=config.Gateway(mqtt_url=url, **(chosen | options)))
    gateway = Gateway(settings, RecentLog())
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await gateway.close()


async def tap_by(gateway: Gateway, seq: int, *, ring: int = 1, boot: int = 1) -> bool:
    """Let a record reach the gateway as a notification would; return whether it is safe."""
    record = tap.TapRecord(kind="tap_to_phone", boot=boot, seq=seq, uptime_ms=seq)
    raw = tap.encode(record, ring_id=ring_id(ring), key=ring_key(ring))
    return await gateway.intake.store(ring_id(ring), record, raw, rssi=-40, live=True)


class GatewayProcess:
    """`pinghub gateway run` with its own home; may be killed and started again."""

    def __init__(self, folder: Path, *, url: str, ble_backend: str, gateway: str = "gw-1") -> None:
        self.log = folder / "gateway.log"
        self.home = folder
        self.metrics_port = free_port()
        self.environment = os.environ | {
            "PINGHUB_HOME": str(folder),
            "PINGHUB_CONFIG": str(folder / "none.toml"),
            "PINGHUB_GATEWAY__ID": gateway,
            "PINGHUB_GATEWAY__MQTT_URL": url,
            "PINGHUB_GATEWAY__BLE_BACKEND": ble_backend,
            "PINGHUB_METRICS__PORT": str(self.metrics_port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ready_before = self._text().count("process_ready")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", "gateway", "run"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        process = self._process
        wait_until(
            lambda: (
                self._text().count("process_ready") > ready_before or process.poll() is not None
            ),
            "the gateway to be ready",
            20,
        )
        assert process.poll() is None, self._text()

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `pinghub gateway` command with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "hub.cli", "gateway", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask to end; return the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(10)

    def text(self) -> str:
        return self._text()

    def _text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""
