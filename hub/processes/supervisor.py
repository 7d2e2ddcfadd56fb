"""Runs children: starts them, waits until they are ready, restarts the crashed, stops in order.

Single-threaded on purpose: the kernel ends a child with the thread that started it, so all are
started by the main thread. Where everything else is decided is `unit.py`.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from core.errors import ConfigError
from hub.embedded import child
from hub.processes.unit import Unit, stop_budgets

POLL_SECONDS: Final = 0.05
READY_SECONDS: Final = 45.0
# One second less than promised, for what the stages cannot see.
STOP_SECONDS: Final = 9.0
_HURRY_SECONDS: Final = 2.0

Change = Literal["ready", "crashed", "stopped"]


class Spec(Struct, frozen=True, kw_only=True):
    """How a child is started, known to be ready, and stopped."""

    name: str
    start: Callable[[], child.Child]
    ready: Callable[[child.Child], bool] = lambda _process: True
    tend: Callable[[child.Child], None] = lambda _process: None
    """Called at each look while the child is ready."""
    log_path: Path
    stop_stage: int = 0
    """Children of a lower stage are gone before those of a higher one are asked to end."""
    stop_seconds: float = 1.0
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL


class StartError(ConfigError):
    """A child ended or hung before it was ready for the first time."""


class _Member:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.unit = Unit(READY_SECONDS)
        self.process: child.Child | None = None
        self.started_once = False
        self.group_ended = False
        self.held_down = False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.running:
            os.kill(self.process.pid, number)

    def says_ready(self) -> bool:
        return self.process is not None and self.spec.ready(self.process)

    def end_group(self) -> None:
        """Kill what is left of the child's process group, such as its own children; once."""
        if self.process is not None and not self.group_ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            # Its number may belong to strangers from now on.
            self.group_ended = True


class Supervisor:
    """Owns children by name; `tick` moves all of them on."""

    def __init__(
        self, on_change: Callable[[str, Change], None] = lambda _name, _change: None
    ) -> None:
        self._members: dict[str, _Member] = {}
        self._on_change = on_change

    def add(self, specs: Iterable[Spec]) -> None:
        """Take children on; they start with the next tick."""
        self._members |= {spec.name: _Member(spec) for spec in specs}

    def pid(self, name: str) -> int:
        process = self._members[name].process
        return process.pid if process is not None else 0

    def running(self, name: str) -> bool:
        return self._members[name].running

    def ready(self, name: str) -> bool:
        return self._members[name].unit.state == "ready" and self._members[name].running

    def tick(self) -> None:
        """Look at every child once and do what its life asks for."""
        for name, member in self._members.items():
            if member.held_down:
                continue
            before = member.unit.state
            running = member.running
            is_ready = before == "starting" and running and member.says_ready()
            action = member.unit.step(time.monotonic(), running=running, ready=is_ready)
            if action == "start":
                self._start(member)
            elif action == "kill":
                member.end_group()
            if member.unit.state == "waiting" and before != "waiting":
                member.end_group()
                self._on_change(name, "crashed")
            elif member.unit.state == "ready" and before != "ready":
                self._on_change(name, "ready")
            elif before == "ready" and running and member.process is not None:
                member.spec.tend(member.process)

    def wait_ready(self, names: Iterable[str] | None = None) -> None:
        """Tick until the children are ready; StartError with its last words if one fails."""
        waited = [self._members[name] for name in (names or list(self._members))]
        while not all(member.unit.state == "ready" for member in waited):
            self.tick()
            for member in waited:
                if member.unit.failures:
                    raise StartError(
                        f"{member.spec.name} did not start: {last_words(member.spec.log_path)}"
                    )
            time.sleep(POLL_SECONDS)

    def run(self, stop_asked: Callable[[], bool]) -> None:
        """Keep every child alive until `stop_asked`."""
        while not stop_asked():
            self.tick()
            time.sleep(POLL_SECONDS)

    def kill(self, name: str) -> None:
        """End a child as a crash would, with everything in its process group; it stays down."""
        member = self._members[name]
        member.held_down = True
        member.end_group()
        _wait([member], _HURRY_SECONDS)

    def revive(self, name: str) -> None:
        """Start a killed child again; return when it is ready."""
        member = self._members[name]
        member.unit = Unit(READY_SECONDS)
        member.held_down = False
        self.wait_ready([name])

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop all in order within STOP_SECONDS; at once when `hurry` says so."""
        stages: dict[int, list[_Member]] = {}
        for member in self._members.values():
            stages.setdefault(member.spec.stop_stage, []).append(member)
        ordered = [stages[number] for number in sorted(stages)]
        budgets = stop_budgets(
            [max(member.spec.stop_seconds for member in stage) for stage in ordered], STOP_SECONDS
        )
        for stage, budget_seconds in zip(ordered, budgets, strict=True):
            self._stop_stage(stage, budget_seconds, hurry)

    def _stop_stage(
        self, stage: list[_Member], budget_seconds: float, hurry: Callable[[], bool]
    ) -> None:
        for member in stage:
            member.signal(member.spec.hurry_signal if hurry() else member.spec.stop_signal)
        if not _wait(stage, budget_seconds, hurry):
            for member in stage:
                member.signal(member.spec.hurry_signal)
            if not _wait(stage, _HURRY_SECONDS):
                for member in stage:
                    member.signal(signal.SIGKILL)
                _wait(stage, _HURRY_SECONDS)
        for member in stage:
            member.end_group()
            self._on_change(member.spec.name, "stopped")

    def _start(self, member: _Member) -> None:
        member.group_ended = False
        try:
            member.process = member.spec.start()
        except ConfigError:
            # A server that cannot come back right now is tried again; the first time it is fatal.
            if not member.started_once:
                raise
            member.process = None
        else:
            member.started_once = True


class Spawned(child.Child):
    """A hub process: its readiness is a line in its log."""

    def __init__(self, command: list[str], log_path: Path, environment: dict[str, str]) -> None:
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        process = child.spawn(
            command, log_path=log_path, folder=Path.cwd(), environment=environment
        )
        super().__init__(process, log_path)

    @property
    def said_ready(self) -> bool:
        """Whether `process_ready` stands in what it has logged since its start."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return b'"process_ready"' in log.read()


def pinghub(*arguments: str) -> list[str]:
    """Return the command line of one of our own commands."""
    return [sys.executable, "-m", "hub.cli", *arguments]


def last_words(log_path: Path) -> str:
    """Return the last line of a log and where to read the rest."""
    try:
        lines = log_path.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{lines[-1] if lines else 'it said nothing'} (see {log_path})"


def _wait(
    members: list[_Member], seconds: float, hurry: Callable[[], bool] = lambda: False
) -> bool:
    deadline = time.monotonic() + seconds
    while any(member.running for member in members):
        if time.monotonic() > deadline or hurry():
            return False
        time.sleep(0.01)
    return True
