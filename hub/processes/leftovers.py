"""Processes that a killed supervisor left behind: found by a mark in their environment."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

# Not PINGHUB_…: that would be taken for a setting.
MARK: Final = "_SUPERVISED_BY_PINGHUB_IN"
TERM_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05


def mark(home: Path) -> dict[str, str]:
    """Return the environment variable that every child and its children carry."""
    return {MARK: str(home.resolve())}


def find(home: Path) -> list[int]:
    """Return the pids of living processes marked for this home; empty where /proc is missing."""
    wanted = f"{MARK}={home.resolve()}".encode()
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        # Others' processes, zombies and those that end right now cannot be read.
        with contextlib.suppress(OSError):
            if pid != os.getpid() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def stop(home: Path) -> int:
    """End all of them, first by SIGTERM; return how many there were."""
    first = find(home)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in find(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + TERM_SECONDS
        while find(home) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    return len(first)
