"""The latest log lines, bounded and redacted, for an operator who asks from afar."""

import re
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

LINES_MAX: Final = 200
LINE_CHARS: Final = 300
TOTAL_CHARS: Final = 32 * 1024
"""An MQTT packet ends at 64 KiB."""

# By value, as core.log redacts by name: logins in addresses, keys and tags, mail addresses. No part
# begins anew inside of what another attempt has read: a long line costs time in proportion.
_SECRETS: Final = re.compile(
    r"(?<=://)[^/\s@]++(?=@)|\b[0-9a-fA-F]{32,}+\b|(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+"
)


class RecentLog:
    """A ring buffer of lines."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES_MAX)

    def add(self, fields: Mapping[str, Any]) -> None:
        """Keep an event of the log."""
        first = f"{fields.get('timestamp', '')} {fields.get('level', '')} {fields.get('event', '')}"
        rest = [
            f"{name}={value}"
            for name, value in fields.items()
            if name not in {"timestamp", "level", "event", "exception"}
        ]
        line = _SECRETS.sub("[redacted]", " ".join([first, *rest]))
        self._lines.append(line[:LINE_CHARS])

    def lines(self, count: int) -> list[str]:
        """Return the latest lines, oldest first, as many as fit."""
        found: list[str] = []
        room = TOTAL_CHARS
        for line in list(self._lines)[-count:][::-1]:
            room -= len(line)
            if room < 0:
                break
            found.append(line)
        return found[::-1]


def record() -> RecentLog:
    """Keep what the process logs from now on; to be called before loggers are first used."""
    recent = RecentLog()

    def keep(
        _logger: object, _method: str, fields: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        recent.add(fields)
        return fields

    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[*processors[:-1], keep, processors[-1]])
    return recent
