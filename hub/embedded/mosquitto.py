"""Mosquitto, found on the machine or unpacked from Debian's package without root."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from hub.embedded import child

UNPACKED: Final = Path(sys.prefix) / "share" / "mosquitto"
_FURTHER_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/mosquitto/sbin")
_ACL: Final = """\
user hub
topic readwrite ping/v1/#

pattern write ping/v1/gw/%u/#
pattern read ping/v1/cmd/gw/%u/#
"""


def find() -> Path | None:
    """Return a mosquitto of version 2 that runs, None when there is none."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_FURTHER_FOLDERS):
        if folder and runs(program := Path(folder) / "mosquitto"):
            return program
    unpacked = UNPACKED / "usr" / "sbin" / "mosquitto"
    return unpacked if runs(unpacked) else None


def runs(program: Path) -> bool:
    """Say whether a program is a mosquitto of version 2 with all its libraries."""
    if not os.access(program, os.X_OK):
        return False
    try:
        done = subprocess.run(  # noqa: S603  # a program called mosquitto
            [str(program), "-h"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=environment(program),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "mosquitto version 2." in done.stdout


def command(program: Path, folder: Path, port: int) -> list[str]:
    """Write the configuration into `folder` and return the command line of the broker."""
    child.write_private(folder / "acl", _ACL)
    child.write_private(folder / "mosquitto.conf", _configuration(folder, port))
    return [str(program), "-c", str(folder / "mosquitto.conf")]


def environment(program: Path) -> dict[str, str] | None:
    """Return the environment in which an unpacked mosquitto finds the libraries beside it."""
    if not program.is_relative_to(UNPACKED):
        return None
    folders = sorted(str(path.parent) for path in UNPACKED.rglob("lib*.so*"))
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(dict.fromkeys(folders))}


def _configuration(folder: Path, port: int) -> str:
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'acl'}",
        # Retained presence outlives a restart. Taps do not rely on this: gateways keep them.
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 5",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    if os.geteuid() == 0:
        # Started by root it would become a user who may not read its own password file.
        lines.append("user root")
    return "\n".join((*lines, ""))
