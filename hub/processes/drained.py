"""A uvicorn server that says goodbye: its stop drains realtime connections and exits with 0."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import Final

import uvicorn

from core import log

# A full collection stops all for 100 ms where thousands are connected. By default a storm of
# reconnects, none of which leaves a cycle behind, sets several off.
_GC_THRESHOLDS: Final = (5_000, 20, 20)

_log = log.get("serve")


class DrainedServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the drain at once.

    `say_ready` is called when the listener is looked after, `drain` when no newcomers come.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: Callable[[], Awaitable[None]],
        say_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._say_ready = say_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.set_threshold(*_GC_THRESHOLDS)
        self._say_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # New clients go elsewhere while the connected ones are told to, each at its own moment:
        # uvicorn alone would close all at once and they would come back as a herd.
        # The sockets too: while one is open the kernel goes on taking connections for nobody.
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        _log.info("drain_started", connections=len(self.server_state.connections))
        draining = asyncio.ensure_future(self._drain())
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)
        draining.cancel()
        await super().shutdown(sockets)
        _log.info("process_stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        # Uvicorn raises the signal again after its stop; an ordered stop is no failure here.
        previous = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
