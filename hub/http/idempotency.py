"""Idempotency-Key: the effect and its stored answer commit in one transaction.

A crash before the commit leaves neither, after it both: a repeated request has exactly one effect.
Only answers of success are kept; a refused request may be sent again with the same key.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Generic, TypeVar, cast
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from core.crypto import FieldCipher, Keys
from core.db import Tx
from core.errors import DomainError
from hub.http import queries
from hub.http.deps import keys_of, writing

Body = TypeVar("Body")

_COLUMN: Final = "idempotency_keys.response_body"
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

KEYED: Final = ("idempotency.key_invalid", "idempotency.in_flight", "idempotency.mismatch")
"""Errors of every route that takes a key."""


class Answer(msgspec.Struct, Generic[Body], frozen=True):
    """What an effect answers."""

    body: Body
    status: int = 201
    location: str | None = None
    kept: Body | None = None
    """What is stored for repetitions where `body` has a secret, which is answered once."""


class Outcome(msgspec.Struct, frozen=True):
    """An answer as it is stored: byte for byte what the first request got, but for secrets."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_replayed: bool = False


async def once(
    request: Request[Any, Any, Any],
    key: str | None,
    effect: Callable[[Tx], Awaitable[Answer[Body]]],
    *,
    unit: Callable[[Request[Any, Any, Any]], AbstractAsyncContextManager[Tx]] = writing,
    digest: bytes | None = None,
) -> Response[Body]:
    """Run `effect` in a unit of work and answer it; with a key, once for the same request.

    `digest` stands for a body that was read already, and is not held as a whole.
    """
    require_valid(key)
    request_hash = b"" if key is None else await _hash(request, digest)
    async with unit(request) as tx:
        outcome = await run_once(tx, keys_of(request), key, request_hash, effect)
    headers = dict(outcome.headers)
    if outcome.is_replayed:
        headers[_REPLAYED_HEADER] = "true"
    response = Response(
        outcome.body, status_code=outcome.status, headers=headers, media_type="application/json"
    )
    return cast("Response[Body]", response)


async def run_once(
    tx: Tx,
    keys: Keys,
    key: str | None,
    request_hash: bytes,
    effect: Callable[[Tx], Awaitable[Answer[Any]]],
) -> Outcome:
    """Run `effect` in the transaction and store its answer, or return the stored one."""
    claimed: UUID | None = None
    if key is not None:
        # Without the key whoever has the table could try all telephone numbers.
        kept_hash = hmac.digest(keys.index_key, b"idempotency" + request_hash, "sha256")
        claimed = await queries.claim_key.first(tx, key, kept_hash)
        if claimed is None:
            return await _stored(tx, keys.cipher, key, kept_hash)
    answer = await effect(tx)
    body = msgspec.json.encode(answer.body)
    headers = {"Location": answer.location} if answer.location else {}
    if claimed is not None:
        kept = body if answer.kept is None else msgspec.json.encode(answer.kept)
        sealed = keys.cipher.seal(kept, column=_COLUMN, row=claimed.bytes)
        await queries.store_answer.run(
            tx, claimed, answer.status, msgspec.json.encode(headers), sealed
        )
    return Outcome(answer.status, headers, body)


def hash_of(operation: str, body: bytes) -> bytes:
    """Return what tells requests under one key apart."""
    return hashlib.sha256(f"{operation}\n".encode() + body).digest()


def require_valid(key: str | None) -> None:
    """Raise idempotency.key_invalid for what is no key; None is none."""
    if key is not None and not is_valid(key):
        raise DomainError("idempotency.key_invalid")


def is_valid(key: str) -> bool:
    """Say whether a key is 1 to 255 visible ASCII characters."""
    return 1 <= len(key) <= _KEY_MAX_CHARS and all("!" <= char <= "~" for char in key)


async def _stored(tx: Tx, cipher: FieldCipher, key: str, request_hash: bytes) -> Outcome:
    stored = await queries.read_answer.first(tx, key)
    if stored is None:
        raise DomainError("idempotency.in_flight", retry_after_seconds=1)
    if stored.request_hash != request_hash:
        raise DomainError("idempotency.mismatch")
    if (
        stored.response_status is None
        or stored.response_headers is None
        or stored.response_body is None
    ):
        raise DomainError("idempotency.in_flight", retry_after_seconds=1)
    headers = msgspec.json.decode(stored.response_headers, type=dict[str, str])
    body = cipher.open(stored.response_body, column=_COLUMN, row=stored.id.bytes)
    return Outcome(stored.response_status, headers, body, is_replayed=True)


async def _hash(request: Request[Any, Any, Any], digest: bytes | None) -> bytes:
    asked = f"{request.method} {request.scope['path']}?{request.scope['query_string'].hex()}"
    return hash_of(asked, await request.body() if digest is None else digest)
