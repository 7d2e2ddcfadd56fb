"""Structured log: an event name and fields, one JSON object or one readable line each.

Names are facts in past tense (`tap_accepted`); values are ids and figures, never personal data.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO, cast

import structlog

request_id: ContextVar[str] = ContextVar("request_id", default="")

# A field with such a name is a mistake of the caller; the log must survive it without leaking.
_SECRET_WORDS: Final = ("password", "secret", "token", "authorization", "cookie", "key", "email")
_processors: list[structlog.typing.Processor] = []


def configure(level: str = "INFO", style: Literal["json", "console"] = "json") -> None:
    """Route structlog and the standard logging of libraries to standard error."""
    renderer = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # In place: loggers that were used before hold this list, and are to obey as well.
    _processors[:] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        redact,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Undisturbing())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    return structlog.get_logger(module=name)


class _Undisturbing:
    """Standard error whose failure is nobody's: a full disk must stop the log, not the work."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def redact(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names promise a secret."""
    for name in fields:
        if any(word in name.lower() for word in _SECRET_WORDS):
            fields[name] = "[redacted]"
    return fields


def _add_request_id(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if current := request_id.get():
        fields["request_id"] = current
    return fields
