"""`pinghub serve`: REST, realtime and console in one uvicorn process."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from types import FrameType

import uvicorn
from litestar import Litestar

from core import config, log
from hub.app import create_app, drain
from hub.http import wire
from hub.http.deps import require_settings
from hub.processes.listener import listen
from hub.realtime.carriers.fast_websocket import FastWebSocket

_log = log.get("serve")


def run(settings: config.Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain at once."""
    require_settings(settings)
    listener = listen(settings.server.host, settings.server.port)
    address = listener.getsockname()
    serve(
        settings,
        listener,
        lambda: _log.info("process_ready", host=address[0], port=address[1]),
    )


def serve(
    settings: config.Settings, listener: socket.socket, say_ready: Callable[[], None]
) -> None:
    """Serve what comes in by the listener; `say_ready` is called when it is looked after."""
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=wire.bounded(settings.server.max_body_bytes),
            ws=FastWebSocket,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.server.trusted_proxies),
            forwarded_allow_ips=list(settings.server.trusted_proxies),
            timeout_graceful_shutdown=max(1, round(settings.server.drain_seconds)),
        ),
        app,
        settings.server.drain_seconds,
        say_ready,
    )
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn whose stop drains realtime connections first and ends with exit code 0."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: Litestar,
        drain_seconds: float,
        say_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._say_ready = say_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._say_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # New clients go elsewhere while the connected ones are told to, each at its own moment:
        # uvicorn alone would close all at once and they would come back as a herd.
        for listener in self.servers:
            listener.close()
        _log.info("drain_started", connections=len(self.server_state.connections))
        draining = asyncio.create_task(drain(self._app, self._drain_seconds))
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
