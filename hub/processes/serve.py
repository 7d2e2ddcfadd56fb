"""`pinghub serve`: REST, websocket and console in one uvicorn process."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator
from types import FrameType
from typing import Final, cast

import uvicorn
from litestar import Litestar

from core import config, log
from core.errors import ConfigError
from hub.app import create_app, drain
from hub.http import wire
from hub.http.deps import require_settings
from hub.realtime.carriers.fast_websocket import FastWebSocket

_BACKLOG: Final = 2048
_log = log.get("serve")


def run(settings: config.Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain at once."""
    require_settings(settings)
    app = create_app(settings)
    listener = _listen(settings.server.host, settings.server.port)
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
    )
    server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"server.port: {host}:{port} cannot be opened ({error.strerror}):"
            " stop what uses it, or set another port"
        ) from None
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Uvicorn whose stop drains realtime connections first and ends with exit code 0."""

    def __init__(self, config: uvicorn.Config, app: Litestar, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        address = cast("tuple[str, int]", (sockets or [])[0].getsockname())
        _log.info("process_ready", host=address[0], port=address[1])

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
