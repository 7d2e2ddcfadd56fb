"""Queries that are read in one way only: times as in bodies, by RFC 3339, and no `null`.

Litestar converts parameters leniently: to it `null` is a filter that was left out, and everything
would be answered; `0.5` is a time, half a second after 1970; and one without a zone is taken, too.
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from core.errors import DomainError

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_KINDS: Final[dict[Any, tuple[Any, str]]] = {
    datetime: (
        _Moment,
        "Expected a time with its zone, as 2026-11-21T09:30:00Z; a `+` in it is sent as %2B",
    ),
    date: (date, "Expected a date, as 2026-11-21"),
}


def check(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Raise request.invalid, with the names of the fields, for what could be read in two ways."""
    asked = connection.query_params.multi_items()
    times = _times_of(connection.route_handler) if asked else {}
    faults = {
        name: {"source": "query", "field": name, "message": message}
        for name, text in asked
        if (message := _fault(text, times.get(name))) is not None
    }
    if faults:
        raise DomainError("request.invalid", errors=list(faults.values()))


@lru_cache(maxsize=1000)
def _times_of(handler: BaseRouteHandler) -> dict[str, tuple[Any, str]]:
    """Return which parameters of a handler's queries are times, and how they are written."""
    found: dict[str, tuple[Any, str]] = {}
    for name, field in handler.parsed_fn_signature.parameters.items():
        given = field.kwarg_definition
        if not isinstance(given, QueryParameter):
            continue
        for kind in (field.annotation, *(inner.annotation for inner in field.inner_types)):
            if kind in _KINDS:
                found[given.name or name] = _KINDS[kind]
    return found


def _fault(text: str, time: tuple[Any, str] | None) -> str | None:
    """Return what to change of a value; `time`: its type and how it is written, if it is one."""
    if text.lower() == "null":  # in any case, as msgspec converts it
        return "Leave it out instead"
    if time is None:
        return None
    kind, message = time
    try:
        moment = msgspec.convert(text, kind)
        if isinstance(moment, datetime):
            moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):  # or of the year 0, or 10000
        return message
    return None
