"""One of several processes on one port: `python -m hub.processes.serve_worker DESCRIPTOR NUMBER`.

Started by `workers.py`, whose listening socket it inherits.
"""

import os
import socket
import sys
from typing import Final, NoReturn

import structlog

from core import config, log, metrics
from core.errors import ConfigError
from hub.http.deps import require_settings
from hub.processes import serve, workers

_EXIT_CONFIG: Final = 2


def main(argv: list[str]) -> NoReturn:
    """Serve until the parent ends it."""
    descriptor, number = int(argv[1]), int(argv[2])
    try:
        settings = config.load()
        require_settings(settings)
        log.configure(settings.log.level, settings.log.style)
        structlog.contextvars.bind_contextvars(worker=number)
        if settings.metrics.port:
            # On the common port a scrape would meet now this worker, now that.
            metrics.serve(settings.metrics.port + number)
        serve.serve(settings, socket.socket(fileno=descriptor), _say_ready)
    except ConfigError as error:
        print(f"pinghub: {error}", file=sys.stderr)  # noqa: T201  # as the command line says it
        sys.exit(_EXIT_CONFIG)
    sys.exit(0)


def _say_ready() -> None:
    sys.stdout.buffer.write(workers.READY)
    sys.stdout.flush()
    # Nobody reads on.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main(sys.argv)
