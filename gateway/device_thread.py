"""A thread for calls that may block for ever, in drivers that we do not know."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class DeviceThread:
    """Runs calls one after the other; a call that hangs takes this thread with it, nothing else."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, so that a driver that hangs does not keep the process.
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def call(self, function: Callable[..., _T], *arguments: Any, seconds: float) -> _T:  # noqa: ANN401  # the function's
        """Return what a call returns, raise what it raises, or TimeoutError."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def run() -> None:
            try:
                outcome, error = function(*arguments), None
            except Exception as raised:  # noqa: BLE001  # it is raised in the caller
                outcome, error = None, raised
            try:
                loop.call_soon_threadsafe(_settle, future, outcome, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits

        self._queue.put(run)
        async with asyncio.timeout(seconds):
            return await future

    def end(self, last: Callable[[], None]) -> None:
        """Let the thread end with a last call, whenever the others are done."""
        self._queue.put(last)
        self._queue.put(None)

    def _work(self) -> None:
        while (run := self._queue.get()) is not None:
            run()


def _settle(future: asyncio.Future[Any], outcome: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)
