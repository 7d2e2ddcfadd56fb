"""How long `pinghub up` takes to be ready, first and again, and to stop."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fixtures.ports import free_port

STARTS = 4
FIRST_TARGET_SECONDS, AGAIN_TARGET_SECONDS, STOP_TARGET_SECONDS = 60, 15, 10


@pytest.mark.bench
def test_up_is_soon_ready_and_soon_gone(tmp_path: Path) -> None:
    figures = [_start_and_stop(tmp_path / "home") for _ in range(STARTS)]
    print()
    for number, (ready_seconds, stop_seconds) in enumerate(figures, 1):
        print(
            f"start {number}: ready after {ready_seconds:5.1f} s, gone after {stop_seconds:4.1f} s"
        )
    assert figures[0][0] <= FIRST_TARGET_SECONDS
    assert all(ready <= AGAIN_TARGET_SECONDS for ready, _ in figures[1:])
    assert all(stop <= STOP_TARGET_SECONDS for _, stop in figures)


def _start_and_stop(home: Path) -> tuple[float, float]:
    ports = {name: str(free_port()) for name in ("postgres", "redis", "mqtt")}
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "up"]
        + [part for name, port in ports.items() for part in (f"--{name}-port", port)],
        env=os.environ
        | {"PINGHUB_HOME": str(home), "PINGHUB_SERVER__PORT": str(free_port()), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    started = time.perf_counter()
    for line in process.stdout:
        if re.search(r"is ready after", line):
            break
    ready_seconds = time.perf_counter() - started
    asked = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(20) == 0
    return ready_seconds, time.perf_counter() - asked
