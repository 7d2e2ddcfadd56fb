"""Metrics: the process's Prometheus registry and its text form.

Modules declare their own metrics with prometheus_client at import; labels are closed sets,
never ids.
"""

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest, start_http_server

from core.errors import ConfigError

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render() -> bytes:
    """Return all metrics of this process in Prometheus text format."""
    return generate_latest(REGISTRY)


def serve(port: int) -> None:
    """Answer GET /metrics on loopback from a thread, for processes that speak no HTTP."""
    if not port:
        return
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise ConfigError(
            f"metrics.port: 127.0.0.1:{port} cannot be opened ({error.strerror}):"
            " stop what uses it, or set another port"
        ) from None
