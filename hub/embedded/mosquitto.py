"""Mosquitto, found on the machine or unpacked from Debian's package without root."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.errors import ConfigError

UNPACKED: Final = Path(sys.prefix) / "share" / "mosquitto"
_FURTHER_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/mosquitto/sbin")
# Debian's, Alpine's and those of a build from source.
_PLUGIN_FOLDERS: Final = ("usr/lib/*", "usr/lib", "usr/local/lib", "opt/mosquitto/lib")


def find() -> Path | None:
    """Return a mosquitto of version 2 that runs and has its plugin, None when there is none."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_FURTHER_FOLDERS):
        if folder and _is_whole(program := Path(folder) / "mosquitto"):
            return program
    unpacked = UNPACKED / "usr" / "sbin" / "mosquitto"
    return unpacked if _is_whole(unpacked) else None


def _is_whole(program: Path) -> bool:
    return runs(program) and _plugin(program) is not None


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


def plugin(program: Path) -> Path:
    """Return the dynamic-security plugin that belongs to a mosquitto found by `find`."""
    found = _plugin(program)
    if found is None:
        raise ConfigError(f"{program} has no dynamic-security plugin")
    return found


def _plugin(program: Path) -> Path | None:
    root = UNPACKED if program.is_relative_to(UNPACKED) else Path("/")
    found = (root.glob(f"{folder}/mosquitto_dynamic_security.so") for folder in _PLUGIN_FOLDERS)
    return next((path for paths in found for path in sorted(paths)), None)


def environment(program: Path) -> dict[str, str] | None:
    """Return the environment in which an unpacked mosquitto finds the libraries beside it."""
    if not program.is_relative_to(UNPACKED):
        return None
    folders = sorted(str(path.parent) for path in UNPACKED.rglob("lib*.so*"))
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(dict.fromkeys(folders))}


def unpack() -> str:
    """Fetch and unpack Debian's package and the libraries it needs; return why it failed, or "".

    Needs neither root nor the machine's package lists: they are fetched into a folder of their own
    when the machine has none.
    """
    if not all(shutil.which(program) for program in ("apt-get", "apt-cache", "dpkg-deb")):
        return "this is no Debian"
    shutil.rmtree(UNPACKED, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="pinghub-") as name:
        folder = Path(name)
        for options in ([], _own_lists(folder)):
            try:
                if options:
                    _run(["apt-get", *options, "update"], folder)
                _download(folder, options)
            except OSError as error:
                problem = str(error)
                continue
            if _is_whole(UNPACKED / "usr" / "sbin" / "mosquitto"):
                return ""
            problem = "the unpacked program does not run"
    return problem


def needed(dependencies: str, installed: Iterable[str]) -> list[str]:
    """Return mosquitto and the missing libraries it needs, from `apt-cache depends --recurse`.

    Of alternatives ("|Depends") the first is taken, none where one is installed.
    """
    choices = _choices(dependencies)
    present = set(installed)
    found = ["mosquitto"]
    for name in found:
        for alternatives in choices.get(name, []):
            first = alternatives[0]
            missing = first.startswith("lib") and present.isdisjoint(alternatives)
            if missing and first not in found:
                found.append(first)
    return found


def _choices(dependencies: str) -> dict[str, list[list[str]]]:
    """Return what each package depends on, as lists of alternatives."""
    choices: dict[str, list[list[str]]] = {}
    package, continues = "", False
    for line in dependencies.splitlines():
        kind, separator, name = line.strip().partition(": ")
        if separator and kind.lstrip("|").endswith("Depends"):
            if not continues:
                choices[package].append([])
            choices[package][-1].append(name)
            continues = kind.startswith("|")
        elif line[:1] not in (" ", "<", ""):
            package = line.strip()
            choices.setdefault(package, [])
    return choices


def _download(folder: Path, options: list[str]) -> None:
    only_depends = "--recurse --no-suggests --no-recommends --no-conflicts --no-breaks"
    dependencies = _run(
        ["apt-cache", *options, "depends", *only_depends.split(), "--no-replaces", "mosquitto"],
        folder,
    )
    installed = _run(["dpkg-query", "-f", "${Package}\n", "-W"], folder).split()
    _run(["apt-get", *options, "download", *needed(dependencies, installed)], folder)
    UNPACKED.mkdir(parents=True)
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(UNPACKED)], folder)


def _own_lists(folder: Path) -> list[str]:
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    return [
        *("-o", f"Dir::State::lists={folder / 'lists'}"),
        *("-o", f"Dir::Cache={folder / 'cache'}"),
        *("-o", "Debug::NoLocking=true"),
    ]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  # Debian's own tools
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise OSError(f"{' '.join(command[:2])}: {lines[-1]}")
    return done.stdout
