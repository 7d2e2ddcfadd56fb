"""Every failure as RFC 9457 problem details: one table from exceptions to codes of core.errors."""

import re
import traceback
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.datastructures import ResponseSpec

from core import log
from core.db import Conflict
from core.errors import CATALOGUE, DomainError
from hub.http import recency

MEDIA_TYPE: Final = "application/problem+json"

_MISSING_PARAMETER: Final = re.compile(r"Missing required (\w+) parameter '([\w-]+)'")
_BODY_FIELD: Final = re.compile(r"(?:unknown|required) field `([^`]{1,100})`")
_RETRY_AFTER_SECONDS: Final = 1
_DISCONNECTED: Final = "client disconnected prematurely"
_CODES: Final[dict[type[BaseException], str]] = {
    Conflict: "request.conflict",
    MethodNotAllowedException: "request.method_not_allowed",
    NotFoundException: "request.not_found",
    RequestEntityTooLarge: "request.too_large",
    ClientException: "request.malformed",
    SerializationException: "request.malformed",
    UnicodeDecodeError: "request.malformed",  # a text in the body that is no UTF-8
    RecursionError: "request.malformed",  # JSON nested deeper than its decoder follows
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with one field: where it was sent, its name, what to change."""

    source: str
    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457); `code` is stable, `errors` names the fields at fault."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    request_id: str
    docs_url: str
    errors: list[FieldError] = []


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer any exception; the unexpected is logged by place, never by content."""
    refusal = translate(error)
    if refusal.code == "server.internal":
        log_unexpected(error)
    public_url = request.app.state.settings.server.public_url
    docs_url = f"{public_url}/errors#{refusal.code}"
    headers: dict[str, str] = {}
    if refusal.status == 401:  # noqa: PLR2004  # HTTP's own number
        step_up = recency.CHALLENGE if refusal.code == recency.CODE else ""
        headers["WWW-Authenticate"] = f'Bearer realm="pinghub"{step_up}'
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if isinstance(error, MethodNotAllowedException):
        headers["Allow"] = allowed_methods(error)
    problem = Problem(
        type=docs_url,
        title=refusal.title,
        status=refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        instance=request.scope["path"],
        request_id=log.request_id.get(),
        docs_url=docs_url,
        errors=[msgspec.convert(item, FieldError) for item in refusal.errors],
    )
    return Response(problem, status_code=refusal.status, headers=headers, media_type=MEDIA_TYPE)


def translate(error: BaseException) -> DomainError:
    """Return the refusal of the catalogue that an exception stands for."""
    if isinstance(error, ValidationException):
        return _explain_validation(error)
    if isinstance(error, DomainError):
        if error.code == "service.unavailable" and error.retry_after_seconds is None:
            error.retry_after_seconds = _RETRY_AFTER_SECONDS
        return error
    if isinstance(error, InternalServerException) and error.detail == _DISCONNECTED:
        # Nobody reads the answer, and the hub is not at fault.
        return DomainError("request.malformed")
    found = (_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    return DomainError(next(found, "server.internal"))


def allowed_methods(error: MethodNotAllowedException) -> str:
    """Return the methods of a path, as its 405 lists them."""
    listed = {name.strip() for name in (error.headers or {}).get("allow", "").split(",")}
    return ", ".join(sorted(listed | {"OPTIONS"}))


@dataclass
class Refusals(ResponseSpec):
    """The refusals of one status; hub/http/document.py adds what the door itself may say."""

    codes: tuple[str, ...] = ()


def documented(*codes: str) -> dict[int, ResponseSpec]:
    """Return the OpenAPI responses of an end-point that may itself refuse with `codes`."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    return {
        status: Refusals(
            data_container=Problem,
            description="\n".join(f"- `{code}`: {CATALOGUE[code].title}" for code in names),
            media_type=MEDIA_TYPE,
            generate_examples=False,
            codes=tuple(names),
        )
        for status, names in sorted(by_status.items())
    }


def _explain_validation(error: ValidationException) -> DomainError:
    if missing := _MISSING_PARAMETER.match(error.detail):
        source, field = missing.groups()
        if field.lower() == "idempotency-key":
            return DomainError("idempotency.key_invalid")
        found = [{"source": source, "field": field, "message": "Required"}]
        return DomainError("request.invalid", errors=found)
    extra: list[dict[str, Any]] = (
        cast("list[dict[str, Any]]", error.extra) if isinstance(error.extra, list) else []
    )
    return DomainError("request.invalid", errors=[_field_error(item) for item in extra])


def _field_error(item: dict[str, Any]) -> dict[str, str]:
    message = str(item.get("message", "Invalid"))
    field = str(item.get("key", ""))
    source = str(getattr(item.get("source"), "value", item.get("source", "")))
    if field == "data" or source == "body":
        source = "body"
        named = _BODY_FIELD.search(message)
        prefix = "" if field == "data" else field
        field = ".".join(part for part in (prefix, named.group(1) if named else "") if part)
    return {"source": source or "query", "field": field or "$", "message": message}


def log_unexpected(error: BaseException) -> None:
    """Log what should not have happened."""
    # The message of a foreign exception may quote a row, so only its type and place are logged.
    place = traceback.format_tb(error.__traceback__)
    log.get("http").error(
        "request_crashed", error_type=type(error).__qualname__, place="".join(place)
    )
