"""Around every request: its id, security headers, OPTIONS, metrics and one line of log."""

import re
from collections.abc import Callable
from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import normalize_path
from prometheus_client import Counter, Histogram

from core import clock, ids, log
from hub.http.problems import allowed_methods

_REQUESTS = Counter("pinghub_http_requests", "HTTP requests.", ["method", "path", "status"])
_SECONDS = Histogram("pinghub_http_request_seconds", "Time to answer.", ["method", "path"])

_ACCEPTED_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Probes come every second and say nothing new, and so do the pongs of streams.
QUIET_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics", "/emulation"})
_DEFAULT_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # Answers are about one user; what may be cached says so itself.
    "Cache-Control": "no-store",
}


def wrap(app: Litestar, inner: ASGIApp) -> ASGIApp:
    """Return the outermost ASGI application; sees also what the router refuses."""

    async def enveloped(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        token = log.request_id.set(request_id)
        started_seconds = clock.monotonic_seconds()
        status = 500

        async def sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope, request_id)
            await send(message)

        try:
            if scope["type"] != "http":
                await inner(scope, receive, send)
            elif _asks_for_methods(scope) and (allow := _find_methods(app, scope["path"])):
                await _answer_options(sealed, allow)
            else:
                await inner(scope, receive, sealed)
        finally:
            if scope["type"] == "http":
                _record(scope, status, clock.monotonic_seconds() - started_seconds)
            log.request_id.reset(token)

    return enveloped


def _request_id(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = sent.decode("latin-1")
    return text if _ACCEPTED_REQUEST_ID.fullmatch(text) else str(ids.new_id())


def _add_headers(message: Message, scope: Scope, request_id: str) -> None:
    headers = MutableScopeHeaders.from_message(message)
    headers["X-Request-Id"] = request_id
    limits: dict[str, str] = scope["state"].get("headers", {})
    for name, value in limits.items():
        headers[name] = value
    for name, value in _DEFAULT_HEADERS.items():
        headers.setdefault(name, value)


def _asks_for_methods(scope: Scope) -> bool:
    # A preflight of CORS is an OPTIONS request too, but asks something else.
    names = {name for name, _ in scope["headers"]}
    return scope.get("method") == "OPTIONS" and b"access-control-request-method" not in names


def _find_methods(app: Litestar, path: str) -> str:
    # Litestar's own OPTIONS handler knows only one of several handlers on a path.
    route: Callable[..., Any] = app.asgi_router.handle_routing
    try:
        route(path=normalize_path(path), method="TRACE")
    except MethodNotAllowedException as refusal:
        return allowed_methods(refusal)
    except NotFoundException:
        return ""
    return ""


async def _answer_options(send: Send, allow: str) -> None:
    headers = [(b"allow", allow.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _record(scope: Scope, status: int, seconds: float) -> None:
    path = str(scope.get("path_template") or "unmatched")
    method = str(scope.get("method"))
    method = method if method in _METHODS else "other"
    _REQUESTS.labels(method, path, str(status)).inc()
    _SECONDS.labels(method, path).observe(seconds)
    if path in QUIET_PATHS and status < 500:  # noqa: PLR2004  # HTTP's own number
        return
    # By the key's public part the log tells what a leaked key has done.
    by_key: dict[str, str] = {"api_key": scope["state"]["api_key"]} if _has_key(scope) else {}
    log.get("http").info(
        "request_finished",
        method=method,
        path=path,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **by_key,
    )


def _has_key(scope: Scope) -> bool:
    return "api_key" in scope["state"]
