"""Entity tags: a change is made to what its author has read, or not at all (RFC 9110, 8.8.3, 13).

A tag is a digest of the answer. Where the hub itself notes things in it, such as a ring's battery,
a digest of what people can edit comes first, and If-Match compares that one alone: nobody's change
fails because a battery got weaker. If-None-Match compares the whole.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Protocol, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from core.db import Raced, Tx
from core.errors import DomainError
from hub.http.deps import writing

Body = TypeVar("Body", bound=msgspec.Struct)

_DIGEST_BYTES: Final = 9
_TRIES: Final = 5
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t]*{_TAG}(?:[ \t]*,[ \t]*{_TAG})*[ \t]*")
_OPAQUE: Final = re.compile(r'"([^"]*)"')

IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description=(
            "The `ETag` of what was read: the change is made to just that, or refused with"
            " `request.precondition_failed`."
        ),
    ),
]


class Unit(Protocol):
    """Begins a transaction for a request."""

    def __call__(
        self, request: Request[Any, Any, Any], /, *, serializable: bool = False
    ) -> AbstractAsyncContextManager[Tx]: ...


def tagged(body: Body, *, edited: Sequence[str] = ()) -> Response[Body]:
    """Answer a resource with its tag; `edited` names the fields that people change, if not all."""
    encoded = msgspec.json.encode(body)
    headers = {"ETag": f'"{_tag(body, encoded, edited)}"'}
    response = Response(encoded, status_code=200, headers=headers, media_type="application/json")
    return cast("Response[Body]", response)


async def change(
    request: Request[Any, Any, Any],
    if_match: str | None,
    *,
    present: Callable[[Tx], Awaitable[Body]],
    effect: Callable[[Tx], Awaitable[Body]],
    edited: Sequence[str] = (),
    unit: Unit = writing,
) -> Response[Body]:
    """Run `effect` in a unit of work and answer what it made of the resource.

    With If-Match only while `present` has that tag, whoever else changes it at the same time; then
    `effect` may run more than once, the last time for good.
    """
    if if_match is None:
        async with unit(request) as tx:
            return tagged(await effect(tx), edited=edited)
    tags = _parse(if_match)
    for tries_left in reversed(range(_TRIES)):
        try:
            # Of two that have read the same, the database lets one commit.
            async with unit(request, serializable=True) as tx:
                if not _covers(tags, await present(tx), edited):
                    raise DomainError("request.precondition_failed")
                changed = await effect(tx)
            return tagged(changed, edited=edited)
        except Raced:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def is_known(if_none_match: str, etag: str) -> bool:
    """Say whether a reader has this very answer; compared weakly, as proxies weaken tags."""
    return if_none_match.strip() == "*" or etag.strip('"') in _OPAQUE.findall(if_none_match)


def digest(body: bytes) -> str:
    """Return what stands for an answer in its tag."""
    hashed = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(hashed).decode()


def _parse(if_match: str) -> list[str] | None:
    """Return the tags that a condition names; None: whatever is there, which no tag `"*"` says."""
    if if_match.strip() == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        found = {"source": "header", "field": "If-Match", "message": "Not an entity tag"}
        raise DomainError("request.invalid", errors=[found])
    return _OPAQUE.findall(if_match)


def _covers(tags: list[str] | None, body: msgspec.Struct, edited: Sequence[str]) -> bool:
    tag, _, _ = _tag(body, msgspec.json.encode(body), edited).partition(".")
    return tags is None or tag in {sent.partition(".")[0] for sent in tags}


def _tag(body: msgspec.Struct, encoded: bytes, edited: Sequence[str]) -> str:
    if not edited:
        return digest(encoded)
    editable = msgspec.json.encode([getattr(body, name) for name in edited])
    return f"{digest(editable)}.{digest(encoded)}"
