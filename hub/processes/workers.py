"""`pinghub serve --workers N`: several processes that serve one port, and one that keeps them.

The listening socket is opened once and inherited, so what waits to be accepted belongs to nobody:
a worker that dies takes only the connections that it had. This process serves nothing and imports
nothing that would: it stays small.
"""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from core import clock, config, log
from hub.embedded import child
from hub.processes import unit
from hub.processes.listener import listen

READY: Final = b"ready\n"
"""What a worker writes to its standard output once it serves."""
_READY_SECONDS: Final = 45.0
# What a worker needs beyond its drain: requests in flight, pools, the interpreter.
_STOP_SECONDS: Final = 5.0

_log = log.get("serve")


def run(settings: config.Settings, count: int) -> None:
    """Keep so many workers alive until SIGTERM or SIGINT, then drain all of them at once.

    A second signal ends the drain at once. Exits as a worker did that never became ready.
    """
    listener = listen(settings.server.host, settings.server.port)
    workers = _Workers(listener, 2 * settings.server.drain_seconds + _STOP_SECONDS)
    if exit_code := asyncio.run(workers.run(count)):
        sys.exit(exit_code)


class _Workers:
    """The workers by their numbers, from 0."""

    def __init__(self, listener: socket.socket, stop_seconds: float) -> None:
        self._listener = listener
        self._stop_seconds = stop_seconds
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self, count: int) -> int:
        """Return the exit code when all have ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        host, port = self._listener.getsockname()[:2]
        ready = [asyncio.Event() for _ in range(count)]
        async with asyncio.TaskGroup() as tasks:
            # The first alone, so that a wrong setting is said once.
            tasks.create_task(self._keep(0, ready[0]))
            await ready[0].wait()
            for number in range(1, count):
                tasks.create_task(self._keep(number, ready[number]))
            for event in ready[1:]:
                await event.wait()
            if not self._stopping.is_set():
                _log.info("process_ready", host=host, port=port, workers=count)
        return self._exit_code

    async def _keep(self, number: int, ready: asyncio.Event) -> None:
        """Run one worker again and again until the stop; `ready` is set also when it fails."""
        failures = 0
        while not self._stopping.is_set():
            process = await self._start(number)
            started_at = clock.monotonic_seconds()
            if await _says_ready(process):
                ready.set()
                _log.info("worker_ready", worker=number, pid=process.pid)
            exit_code = await process.wait()
            del self._running[number]
            if self._stopping.is_set():
                break
            if not ready.is_set():
                # It has said why.
                self._exit_code = abs(exit_code) or 1
                self._stop()
                break
            if clock.monotonic_seconds() - started_at > unit.STABLE_SECONDS:
                failures = 0
            failures += 1
            _log.error("worker_ended", worker=number, pid=process.pid, exit_code=exit_code)
            with suppress(TimeoutError):
                async with asyncio.timeout(unit.restart_delay_seconds(failures)):
                    await self._stopping.wait()
        ready.set()

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        descriptor = self._listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *child.launched(
                [sys.executable, "-m", "hub.processes.serve_worker", str(descriptor), str(number)],
                signal.SIGTERM,
                "same",
            ),
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[descriptor],
            # Ctrl-C is for this process to pass on, once.
            process_group=0,
        )
        self._running[number] = process
        if self._stopping.is_set():
            process.terminate()
        return process

    def _stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._listener.close()
            asyncio.get_running_loop().call_later(self._stop_seconds, self._kill)
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.terminate()

    def _kill(self) -> None:
        for number, process in self._running.items():
            _log.error("worker_killed", worker=number, pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()


async def _says_ready(process: asyncio.subprocess.Process) -> bool:
    assert process.stdout is not None  # noqa: S101  # it was asked for
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await process.stdout.readline() == READY
    except TimeoutError:
        process.kill()
        return False
