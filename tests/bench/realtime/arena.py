"""Servers at work: one core for the server that is measured, the other for load and Redis."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hub.embedded.child import free_port
from hub.embedded.redis import find_program
from tests.bench.realtime import machine
from tests.bench.realtime.load import Load, compiled, write_plan
from tests.bench.realtime.servers import Place, Server

_START_SECONDS = 20.0
_PARALLEL_OPENS = 100


_SETTLE_SECONDS = 0.5
_FILES = 45_000


class Arena:
    """A folder and the compiled load generator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.load_program = compiled("load", folder)
        machine.allow_files(_FILES)


class Running:
    """A server at work, and the loads that are connected to it."""

    def __init__(self, load_program: Path, server: Server, place: Place, pid: int) -> None:
        self.server = server
        self.pid = pid
        self._load_program = load_program
        self._place = place
        self._stack = contextlib.ExitStack()
        self._count = 0

    @property
    def name(self) -> str:
        return self.server.name

    def connect(self, connections: int, *, personal: bool = False) -> Load:
        """Connect so many clients: all to one channel, or each to one of its own."""
        load = self.prepare(connections, personal=personal)
        load.ask(f"open {connections} {_PARALLEL_OPENS}")
        return load

    def prepare(self, most: int, *, personal: bool = False, receive_buffer: int = 0) -> Load:
        """Start a load that may open up to `most` connections."""
        self._count += 1
        folder = self._place.folder / f"load-{self._count}"
        folder.mkdir()
        plan = write_plan(
            self.server.plan(self._place, personal),
            folder,
            server_port=self._place.port,
            redis_port=self._place.redis_port,
            channels=most if personal else 1,
            receive_buffer=receive_buffer,
            tokens=[self.server.token(number, personal) for number in range(most)],
        )
        return self._stack.enter_context(
            Load(self.name, self._load_program, plan, machine.LOAD_CORE)
        )

    def close(self) -> None:
        """End the loads."""
        self._stack.close()

    def cpu(self, work: Callable[[], object]) -> float:
        """Return the CPU seconds that the server needs for some work."""
        before = machine.cpu_seconds(self.pid)
        work()
        return machine.cpu_seconds(self.pid) - before


def settle() -> None:
    """Let servers end what they have begun: some subscribe at Redis after they have answered."""
    time.sleep(_SETTLE_SECONDS)


@contextlib.contextmanager
def running(arena: Arena, server: Server) -> Iterator[Running]:
    """Start a server on its core, with a Redis of its own: some subscribe to all channels."""
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=arena.folder))
    place = Place(folder=folder, port=free_port(), redis_port=free_port())
    redis = [str(find_program()), "--port", str(place.redis_port), "--bind", "127.0.0.1"]
    redis += ["--save", "", "--appendonly", "no"]
    with (
        _running(redis, place.redis_port, machine.LOAD_CORE, folder / "redis.log"),
        _running(server.command(place), place.port, machine.SERVER_CORE, folder / "log") as pid,
    ):
        at_work = Running(arena.load_program, server, place, pid)
        try:
            yield at_work
        finally:
            at_work.close()


@contextlib.contextmanager
def _running(command: list[str], port: int, core: int, log: Path) -> Iterator[int]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            preexec_fn=lambda: machine.on_core(core),  # noqa: PLW1509  # no threads here
        )
    try:
        _wait_for(port, process, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            for member in reversed(machine.tree(process.pid)):
                os.kill(member, signal.SIGKILL)
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{log.parent.name} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
