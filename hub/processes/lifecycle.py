"""How a process without a server lives: one coroutine until SIGTERM or SIGINT, then exit 0."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import uvloop


def run_until_stopped(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` until it ends or a stop signal cancels it; a second signal cuts its clean-up."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_cancelled_by_signals(main))


async def _cancelled_by_signals(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def heed_cancellation() -> None:
    """Raise the cancellation that a library has swallowed; without it a process would not stop.

    `wait_for` of Python 3.11 does, when what it waits for is done in the same moment; redis-py
    sends by it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
