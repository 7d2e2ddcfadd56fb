"""One log line and one count for every request that a door of the realtime layer turns away.

What an accepted connection is refused later is told by the hub (`command_refused`,
`connection_closed_by_server`) and by the server API (`api_call_refused`).
"""

from typing import Final, Literal

from core import log
from hub.realtime import metrics

Door = Literal["websocket", "http_stream", "sse", "emulation", "api", "tail", "none"]
"""By which way a request came; "none" is a path where nothing is."""

_logger: Final = log.get("realtime.doors")


def note_refusal(door: Door, status: int, code: str) -> None:
    """Tell that a request was answered by this status and code, and by nothing else.

    Nothing that the request said goes into the line: a path or a header may hold a secret.
    """
    metrics.REQUESTS_REFUSED.labels(door=door, status=str(status)).inc()
    _logger.info("request_refused", door=door, status=status, code=code)
