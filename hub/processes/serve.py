"""`pinghub serve`: REST, realtime and console in one uvicorn process."""

import socket
from collections.abc import Callable

import uvicorn

from core import config, log
from hub.app import create_app, drain
from hub.domains.imports.schemas import UPLOAD_MAX_BYTES
from hub.http import wire
from hub.http.deps import require_settings
from hub.processes.drained import DrainedServer
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
    server = DrainedServer(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=wire.bounded(max(settings.server.max_body_bytes, UPLOAD_MAX_BYTES)),
            ws=FastWebSocket,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.server.trusted_proxies),
            forwarded_allow_ips=list(settings.server.trusted_proxies),
            timeout_graceful_shutdown=max(1, round(settings.server.drain_seconds)),
        ),
        drain=lambda: drain(app, settings.server.drain_seconds),
        say_ready=say_ready,
    )
    server.run(sockets=[listener])
