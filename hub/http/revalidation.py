"""Answers that readers may keep if they ask each time whether they still hold (RFC 9111, 5.2.2.4).

Every JSON answer of a GET gets an entity tag, its own or a digest of it; who has it already gets a
304 without a body. An answer that says itself how it may be kept is left alone.
"""

from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from hub.http import etags

_PREFIX: Final = "/v1/"
# What is said on the way into an account is nobody's to keep.
_NEVER: Final = "/v1/auth/"
_OF_THE_BODY: Final = ("content-type", "content-length")


def revalidated(inner: ASGIApp) -> ASGIApp:
    """Return the application that answers 304 where its reader has the answer."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "GET" or not covers(scope["path"]):
            await inner(scope, receive, send)
            return
        asked = ", ".join(Headers.from_scope(scope).getall("if-none-match", []))
        start: HTTPResponseStartEvent | None = None

        async def checked(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_kept(message):
                start = message
            elif message["type"] == "http.response.body" and start is not None:
                begun, start = start, None
                # An answer in several parts is not worth waiting for.
                if not message["more_body"]:
                    message["body"] = _revalidate(begun, message["body"], asked)
                await send(begun)
                await send(message)
            else:
                await send(message)

        await inner(scope, receive, checked)

    return serve


def covers(path: str) -> bool:
    """Say whether answers of a path get a tag."""
    return path.startswith(_PREFIX) and not path.startswith(_NEVER)


def _may_be_kept(start: HTTPResponseStartEvent) -> bool:
    headers = MutableScopeHeaders.from_message(start)
    is_json = headers.getall("content-type", [""])[0].startswith("application/json")
    return start["status"] == 200 and is_json and "cache-control" not in headers  # noqa: PLR2004  # HTTP's own number


def _revalidate(start: HTTPResponseStartEvent, body: bytes, asked: str) -> bytes:
    headers = MutableScopeHeaders.from_message(start)
    etag = headers.getall("etag", [""])[0] or f'"{etags.digest(body)}"'
    headers["etag"] = etag
    headers["cache-control"] = "private, no-cache"
    # One browser may hold the answers of several accounts.
    headers.add("vary", "Authorization, X-API-Key")
    if not asked or not etags.is_known(asked, etag):
        return body
    start["status"] = 304
    for name in _OF_THE_BODY:
        if name in headers:
            del headers[name]
    return b""
