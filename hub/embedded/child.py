"""Children that die with us: foreground processes in process groups of their own, logging to files.

A killed supervisor takes them along (`launch.py`); what survives all the same is found again by
its pid file and working folder, and is stopped at the next start.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from core.errors import ConfigError
from hub.embedded import launch
from hub.embedded.private import privately, write_private

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 8.0
"""How long each signal may take; PostgreSQL's fast shutdown writes a checkpoint."""
POLITE: Final = (signal.SIGTERM, signal.SIGKILL)
_POLL_SECONDS: Final = 0.02
_FREE_PORTS: Final = (20_000, 32_000)


class Child:
    """A running child: what the supervisor and the tests need to know of it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log_path: Path,
        stop_signals: Sequence[signal.Signals] = POLITE,
    ) -> None:
        self._process = process
        self._stop_signals = stop_signals
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, insist after a while; return when it is gone."""
        end(self.pid, lambda: self.running, self._stop_signals)
        self._process.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


class Service(Child):
    """A running server; `url` is its address with a login."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log_path: Path,
        url: str,
        stop_signals: Sequence[signal.Signals] = POLITE,
    ) -> None:
        super().__init__(process, log_path, stop_signals)
        self.url = url


def spawn(
    command: list[str],
    *,
    log_path: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    user: Literal["same", "mapped"] = "same",
) -> subprocess.Popen[bytes]:
    """Start a command in `folder`, its output appended to `log_path`.

    Call it from the thread that lives as long as the command shall: the kernel sends
    `death_signal` when that thread ends.
    """
    with open(log_path, "ab", opener=privately) as log:  # Path.open takes none
        return subprocess.Popen(  # noqa: S603  # our own command line
            launched(command, death_signal, user),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            process_group=0,
            env=None if environment is None else dict(environment),
        )


def launched(
    command: list[str], death_signal: signal.Signals, user: Literal["same", "mapped"]
) -> list[str]:
    """Return the command line that runs a command by `launch.py`."""
    launcher = [sys.executable, "-I", "-S", launch.__file__]
    return [*launcher, str(os.getpid()), str(int(death_signal)), user, "--", *command]


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
    write_private(pid_path, str(process.pid))
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            reason = _last_line(log_path, log_start)
            raise ConfigError(f"{name} did not start on port {port}: {reason} ({log_path})")
        time.sleep(_POLL_SECONDS)
    return process, log_path


def end(pid: int, alive: Callable[[], bool], signals: Sequence[signal.Signals] = POLITE) -> None:
    """Send one signal after the other until the process is gone."""
    for number in signals:
        if alive():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while alive():
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        else:
            return


def stop_stale(pid_path: Path, signals: Sequence[signal.Signals] = POLITE) -> bool:
    """Stop the server that a killed supervisor left in this folder; say whether there was one."""
    pid = pid_in(pid_path)
    if pid is None:
        return False
    end(pid, lambda: pid_in(pid_path) == pid, signals)
    return True


def pid_in(pid_path: Path) -> int | None:
    """Return the pid of the server that lives in the folder of its pid file, if it does."""
    try:
        pid = int(pid_path.read_text().split("\n", 1)[0])
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
    """Return a port of loopback that was free a moment ago.

    Drawn below the range from which the kernel serves outgoing connections: one of those, opened
    before the port is bound, would take it.
    """
    while True:
        port = random.SystemRandom().randrange(*_FREE_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


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
