"""Idempotency-Key: the effect and its stored answer commit in one transaction.

A crash before the commit leaves neither, after it both: a repeated request has exactly one effect.
Only answers of success are kept; a refused request may be sent again with the same key.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Generic, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from core.db import Tx
from core.errors import DomainError
from hub.http import queries
from hub.http.deps import writing

Body = TypeVar("Body")

_KEY_MAX_CHARS: Final = 255
_REPLAYED_HEADER: Final = "Idempotent-Replayed"
_KEEP_FOR: Final = "Kept for 24 hours; see `idempotency.mismatch` and `idempotency.in_flight`."

RequiredKey = Annotated[
    str, HeaderParameter(name="Idempotency-Key", description=f"Makes a retry harmless. {_KEEP_FOR}")
]
OptionalKey = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", description=f"Makes a retry harmless. {_KEEP_FOR}"),
]


class Answer(msgspec.Struct, Generic[Body], frozen=True):
    """What an effect answers."""

    body: Body
    status: int = 201
    location: str | None = None


async def once(
    request: Request[Any, Any, Any],
    key: str | None,
    effect: Callable[[Tx], Awaitable[Answer[Body]]],
) -> Response[Body]:
    """Run `effect` and answer it; with a key, at most once for the same request."""
    if key is not None and not _is_valid(key):
        raise DomainError("idempotency.key_invalid")
    async with writing(request) as tx:
        if key is not None and (stored := await _claim(tx, key, await _hash(request))):
            return cast("Response[Body]", stored)
        answer = await effect(tx)
        body = msgspec.json.encode(answer.body)
        headers = {"Location": answer.location} if answer.location else {}
        if key is not None:
            await queries.store_answer.run(
                tx, key, answer.status, msgspec.json.encode(headers), body
            )
    return cast("Response[Body]", _response(answer.status, headers, body))


async def _claim(tx: Tx, key: str, request_hash: bytes) -> Response[bytes] | None:
    if await queries.claim_key.first(tx, key, request_hash):
        return None
    stored = await queries.read_answer.first(tx, key)
    if stored is None:
        raise DomainError("idempotency.in_flight", retry_after_seconds=1)
    if stored.request_hash != request_hash:
        raise DomainError("idempotency.mismatch")
    if stored.response_status is None or stored.response_headers is None:
        raise DomainError("idempotency.in_flight", retry_after_seconds=1)
    headers = msgspec.json.decode(stored.response_headers, type=dict[str, str])
    headers[_REPLAYED_HEADER] = "true"
    return _response(stored.response_status, headers, stored.response_body or b"")


async def _hash(request: Request[Any, Any, Any]) -> bytes:
    text = f"{request.method} {request.scope['path']}\n".encode()
    return hashlib.sha256(text + await request.body()).digest()


def _response(status: int, headers: dict[str, str], body: bytes) -> Response[bytes]:
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _is_valid(key: str) -> bool:
    return 1 <= len(key) <= _KEY_MAX_CHARS and all("!" <= char <= "~" for char in key)
