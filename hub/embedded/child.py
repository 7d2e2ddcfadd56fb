"""Children that die with us: foreground processes in process groups of their own, logging to files.

A killed supervisor takes them along (`launch.py`); what survives all the same is found again by
its pid file and working folder, and is stopped at the next start.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from hub.embedded import launch

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02


class Child:
    """A running service: what the supervisor and the tests need to know of it."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log_path: Path) -> None:
        self._process = process
        self.url = url
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, insist after a while."""
        stop(self._process)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


def spawn(
    command: list[str],
    *,
    log_path: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a command in `folder`, its output appended to `log_path`.

    Call it from the thread that lives as long as the command shall: the kernel sends
    `death_signal` when that thread ends.
    """
    launcher = [sys.executable, "-I", "-S", launch.__file__]
    parent = [str(os.getpid()), str(int(death_signal)), "same", "--"]
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # our own command line
            [*launcher, *parent, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            process_group=0,
            env=None if environment is None else dict(environment),
        )


def start_service(
    name: str,
    command: list[str],
    *,
    folder: Path,
    port: int,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a server in `folder` and wait until it is `ready`; ConfigError when it is not."""
    pid_path = folder / "pid"
    stop_stale(pid_path)
    require_free(port, name)
    log_path = folder / "server.log"
    log_start = log_path.stat().st_size if log_path.exists() else 0
    process = spawn(command, log_path=log_path, folder=folder, environment=environment)
    pid_path.write_text(str(process.pid))
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            reason = _last_line(log_path, log_start)
            raise ConfigError(f"{name} did not start on port {port}: {reason} ({log_path})")
        time.sleep(_POLL_SECONDS)
    return process, log_path


def stop(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """Send SIGTERM, after `seconds` SIGKILL; return when the process is gone."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_stale(pid_path: Path) -> bool:
    """Stop the server that a killed supervisor left in this folder; say whether there was one."""
    pid = pid_in(pid_path)
    if pid is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while _works_in(pid, pid_path.parent):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        else:
            break
    return True


def pid_in(pid_path: Path) -> int | None:
    """Return the pid of the server that lives in the folder of its pid file, if it does."""
    try:
        pid = int(pid_path.read_text())
    except (OSError, ValueError):
        return None
    return pid if _works_in(pid, pid_path.parent) else None


def require_free(port: int, name: str) -> None:
    """Raise ConfigError when another program uses the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ConfigError(
                f"port {port} for {name} is in use: stop what uses it"
                f" (`ss -ltnp sport = :{port}` names it), or choose another port"
            ) from None


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def owned_folder(path: Path) -> Path:
    """Create a folder that only its owner may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    temporary.replace(path)


def _works_in(pid: int, folder: Path) -> bool:
    """A recycled pid works elsewhere; a zombie works nowhere."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return False


def _last_line(log_path: Path, start: int) -> str:
    with log_path.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").strip().splitlines()
    telling = [line for line in lines if "rror" in line or "ailed" in line or "in use" in line]
    return (telling or lines or ["no reason given"])[-1].strip()
