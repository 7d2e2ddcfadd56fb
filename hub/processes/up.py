"""`pinghub up`: the whole system on this machine, watched over until Ctrl-C."""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from core import config
from core.errors import ConfigError
from hub.embedded import child
from hub.embedded.private import owned_folder
from hub.processes import leftovers
from hub.processes.supervisor import Change
from hub.processes.system import Ports, System, own_settings
from hub.processes.watch import demo_users, follow

_KEPT_BY_RESET: Final = ("up.lock",)
_LOG_MAX_BYTES: Final = 10_000_000
_TITLES: Final = {"postgres": "PostgreSQL", "redis": "Redis", "mqtt": "MQTT broker"}


def up(
    *,
    reset: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    postgres_port: int = Ports().postgres,
    redis_port: int = Ports().redis,
    mqtt_port: int = Ports().mqtt,
    mqtt_tls_port: int = Ports().mqtt_tls,
    tap_every: float = 4.0,
) -> None:
    """Start everything on this machine; Ctrl-C stops it, data stays.

    Services that the settings name by an address are used instead of embedded ones.

    Parameters
    ----------
    reset
        Delete all local data first; asks before it does.
    yes
        Do not ask.
    postgres_port, redis_port, mqtt_port
        Where the embedded services listen.
    mqtt_tls_port
        Where the embedded MQTT broker waits for gateways with certificates.
    tap_every
        Seconds between two taps of the virtual rings; 0 means none by themselves.
    """
    started_at = time.monotonic()
    home = config.home()
    with _claimed(home):
        if reset:
            _reset(home, asked=not yes)
        if count := leftovers.stop(home):
            _say(f"stopped {count} processes that an earlier start has left behind")
        hub_port = own_settings(home).server.port
        ports = Ports(
            hub=hub_port,
            postgres=postgres_port,
            redis=redis_port,
            mqtt=mqtt_port,
            mqtt_tls=mqtt_tls_port,
        )
        child.require_free(ports.hub, "the hub (server.port)")
        _rotate_logs(home)
        system = System(
            home, ports, on_change=_narrate, tap_every_seconds=tap_every if tap_every > 0 else None
        )
        asked = _StopRequests()
        try:
            with asked.interrupting():
                system.start_services()
                system.prepare()
                _say("database   ready, demo data is in")
                system.start_processes()
            _say(f"\nPing Hub is ready after {time.monotonic() - started_at:.1f} s.\n")
            if config.load(system.environment).server.mode == "development":
                _introduce(system)
                threading.Thread(target=follow, args=(system.url, _say), daemon=True).start()
            system.supervisor.run(lambda: asked.count > 0)
        except KeyboardInterrupt:
            asked.count = 1
        finally:
            if asked.count:
                _say("\nstopping …   (Ctrl-C again: at once)")
            system.stop(hurry=lambda: asked.count > 1)
            leftovers.stop(home)
        _say(f"stopped; data is kept in {_short(home)}")


class _StopRequests:
    """Counts Ctrl-C, SIGTERM and a closed terminal."""

    def __init__(self) -> None:
        self.count = 0
        self._raise = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    @contextmanager
    def interrupting(self) -> Generator[None]:
        """While starting, a request ends the wait for whatever does not come."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False

    def _receive(self, _number: int, _frame: object) -> None:
        self.count += 1
        if self._raise:
            self._raise = False
            raise KeyboardInterrupt


@contextmanager
def _claimed(home: Path) -> Generator[None]:
    """Own the home folder; only one supervisor works in it."""
    try:
        owned_folder(home)
        lock = (home / "up.lock").open("a+")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written ({error.strerror}): set PINGHUB_HOME to a folder of yours"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise ConfigError(
                f"already running in {home} (pid {lock.read().strip() or 'unknown'}): stop it"
                " first, or set PINGHUB_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _reset(home: Path, *, asked: bool) -> None:
    if asked:
        if not sys.stdin.isatty():
            raise ConfigError("--reset deletes all local data: add --yes to agree")
        answer = input(f"Delete all data in {home}? Type yes: ")
        if answer.strip().lower() != "yes":
            raise ConfigError("nothing was deleted")
    leftovers.stop(home)
    for path in home.iterdir():
        if path.name in _KEPT_BY_RESET:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _rotate_logs(home: Path) -> None:
    for path in (home / "logs").glob("*.log"):
        if path.stat().st_size > _LOG_MAX_BYTES:
            path.replace(path.with_suffix(".log.1"))


def _introduce(system: System) -> None:
    url = system.url
    users = demo_users(url)
    ada = users[0]
    token = (
        f"curl -s {url}/v1/auth/development/sign-in -H 'Content-Type: application/json'"
        f""" -d '{{"user_id":"{ada.id}"}}' | grep -o '"access_token":"[^"]*' | cut -d'"' -f4"""
    )
    program = _short(Path(sys.executable).with_name("pinghub"))
    names = ", ".join(user.full_name for user in users)
    _say(
        f"  Console   {url}/console\n"
        f"  Sign in   choose {names}; there are no passwords in development mode\n"
        f"  API       {url}/schema\n"
        f"  Realtime  {url}/console/realtime shows it at work; its key: {program} key\n"
        f"  For apps  {url.replace('http', 'ws', 1)}/connection/websocket; see docs/realtime.md\n"
        f"  Logs      {_short(system.logs)}\n\n"
        f"  Latest taps with curl:\n"
        f"""    curl -s '{url}/v1/rings/taps?limit=3' -H "Authorization: Bearer $({token})"\n\n"""
        f"  Live taps with the official JS SDK:\n"
        f"    {_short(Path(sys.executable))} -m hub.embedded.node docs/examples/taps.mjs {url}\n\n"
        f"Taps of the virtual rings follow. Ctrl-C stops everything; data stays.\n"
    )


def _narrate(name: str, change: Change) -> None:
    match change:
        case "ready" if name in _TITLES:
            _say(f"{_TITLES[name]:10} ready (embedded)")
        case "ready":
            _say(f"{name:10} ready")
        case "crashed":
            _say(f"{name:10} ended unexpectedly, starting it again")
        case "stopped":
            pass


def _short(path: Path) -> str:
    """A path as one would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _say(line: str) -> None:
    # A closed terminal must not keep the system from stopping in order.
    try:
        print(line, flush=True)  # noqa: T201  # a command's output
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # open until the process ends
