"""The socket that a hub listens on."""

import socket
from typing import Final

from core.errors import ConfigError

_BACKLOG: Final = 2048


def listen(host: str, port: int) -> socket.socket:
    """Open the port, or raise ConfigError."""
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
